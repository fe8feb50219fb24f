package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.event.Faults;
import dev.cofferdam.gateway.event.Reasons;
import dev.cofferdam.gateway.policy.Decision;
import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.gateway.slot.Slot;
import dev.cofferdam.kit.http.Http1Parser;
import dev.cofferdam.kit.http.Http1ServerHandler;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.Verdict;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.handler.codec.ByteToMessageDecoder;
import io.netty.util.ReferenceCountUtil;
import io.netty.util.concurrent.Future;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * The first request of a program at the explicit proxy: whose session it is, and where it wants to
 * go. From there on the connection is a guest's like any other: to the address that the session's
 * own DNS would have given the name.
 */
final class ProxyReception extends ChannelInboundHandlerAdapter {
  private static final ByteBuf END =
      Unpooled.unreleasableBuffer(
          Unpooled.wrappedBuffer("\r\n\r\n".getBytes(StandardCharsets.US_ASCII)));

  private final Surroundings surroundings;
  private final Runnable known;
  private ByteBuf received = Unpooled.EMPTY_BUFFER;
  private int searched;
  private boolean over;
  private @Nullable Future<?> deadline;

  /**
   * @param known told once it is known whose the connection is
   */
  ProxyReception(Surroundings surroundings, Runnable known) {
    this.surroundings = surroundings;
    this.known = known;
  }

  @Override
  public void handlerAdded(ChannelHandlerContext ctx) {
    deadline =
        ctx.executor()
            .schedule(
                () -> ctx.channel().close(),
                surroundings.limits().headerTimeout().toMillis(),
                TimeUnit.MILLISECONDS);
  }

  @Override
  public void channelRead(ChannelHandlerContext ctx, Object message) {
    if (over) {
      ReferenceCountUtil.release(message);
      return;
    }
    received =
        ByteToMessageDecoder.MERGE_CUMULATOR.cumulate(ctx.alloc(), received, (ByteBuf) message);
    byte first = received.getByte(received.readerIndex());
    if (first < 'A' || first > 'Z') {
      // TLS, for one, whose client would wait for an answer that it can read.
      over = true;
      ctx.close();
      return;
    }
    int at =
        ByteBufUtil.indexOf(
            END.duplicate(),
            received.slice(received.readerIndex() + searched, received.readableBytes() - searched));
    int length = at < 0 ? received.readableBytes() : searched + at + 4;
    if (length > surroundings.limits().headerBytes()) {
      stranger(
          ctx,
          EgressReason.EGRESS_REASON_HEADERS_TOO_LARGE,
          "headers of more than %d bytes".formatted(surroundings.limits().headerBytes()));
    } else if (at < 0) {
      searched = Math.max(0, length - 3);
    } else {
      head(ctx, received.readCharSequence(length, StandardCharsets.ISO_8859_1).toString());
    }
  }

  private void head(ChannelHandlerContext ctx, String head) {
    ProxyCall call;
    try {
      call = ProxyCall.parse(head);
    } catch (ProxyCall.RefusedException e) {
      stranger(ctx, e.reason(), e.text());
      return;
    }
    Optional<Slot> session = call.tokenHash().flatMap(surroundings.slots()::ofToken);
    if (session.isEmpty()) {
      stranger(
          ctx,
          EgressReason.EGRESS_REASON_PROXY_AUTHENTICATION,
          call.tokenHash().isEmpty()
              ? "no token of an egress session in Proxy-Authorization"
              : "the token is of no egress session in force here");
      return;
    }
    known.run();
    judge(ctx, call, session.get());
  }

  private void judge(ChannelHandlerContext ctx, ProxyCall call, Slot session) {
    if (surroundings.lease().expired()) {
      deny(
          ctx,
          session,
          call,
          EgressReason.EGRESS_REASON_LEASE_EXPIRED,
          "the policy's lease has ended");
      return;
    }
    if (session.attachment().policy().decide(call.host(), call.port())
        instanceof Decision.Denied(EgressReason reason, String why)) {
      deny(ctx, session, call, reason, why);
      return;
    }
    Optional<InetAddress> address =
        switch (call.host()) {
          case Host.Literal(InetAddress literal) -> Optional.of(literal);
          case Host.Name name -> session.names().addressOf(name);
        };
    if (address.isEmpty()) {
      deny(
          ctx,
          session,
          call,
          EgressReason.EGRESS_REASON_TOO_MANY_AT_ONCE,
          "the session has used too many names");
      return;
    }
    if (!session.connections().tryAdd(surroundings.limits().connectionsPerSandbox())) {
      deny(
          ctx,
          session,
          call,
          EgressReason.EGRESS_REASON_TOO_MANY_AT_ONCE,
          "the session has too many connections");
      return;
    }
    Optional<GuestConnection> connection =
        GuestConnection.counted(
            session, ctx.channel(), new InetSocketAddress(address.get(), call.port()));
    if (connection.isEmpty()) {
      return;
    }
    over = true;
    if (call.inOriginForm().isPresent()) {
      request(ctx, connection.get(), call.inOriginForm().get());
    } else {
      tunnel(ctx, connection.get());
    }
  }

  private void tunnel(ChannelHandlerContext ctx, GuestConnection connection) {
    ctx.writeAndFlush(
        ByteBufUtil.writeAscii(ctx.alloc(), "HTTP/1.1 200 Connection established\r\n\r\n"));
    ctx.pipeline().addLast(new Reception(surroundings, connection));
    ctx.fireChannelActive();
    leave(ctx, Unpooled.EMPTY_BUFFER);
  }

  private void request(ChannelHandlerContext ctx, GuestConnection connection, String head) {
    ctx.pipeline()
        .addLast(
            new Http1ServerHandler(
                surroundings.limits().headerBytes(), Http1Parser.OtherUpgrades.REFUSED))
        .addLast(new GuestHandler(surroundings, connection, true));
    leave(ctx, Unpooled.copiedBuffer(head.getBytes(StandardCharsets.ISO_8859_1)));
  }

  /** Hands on what was received, behind what it begins with now. */
  private void leave(ChannelHandlerContext ctx, ByteBuf begin) {
    ByteBuf rest = received;
    received = Unpooled.EMPTY_BUFFER;
    ByteBuf all = Unpooled.wrappedBuffer(begin, rest);
    if (all.isReadable()) {
      ctx.fireChannelRead(all);
      ctx.fireChannelReadComplete();
    } else {
      all.release();
    }
    ctx.pipeline().remove(this);
  }

  /** Refuses one of whom nobody knows whose it is. */
  private void stranger(ChannelHandlerContext ctx, EgressReason reason, String why) {
    String from = ((InetSocketAddress) ctx.channel().remoteAddress()).getHostString();
    surroundings
        .decisions()
        .record(
            "",
            AuditEvent.newBuilder()
                .setProtocol("http")
                .setVerdict(Verdict.VERDICT_DENIED)
                .setReason(reason)
                .setStatus(Answers.status(reason))
                .setMessage("at the explicit proxy, from " + from + ": " + why));
    answer(ctx, reason, why);
  }

  private void deny(
      ChannelHandlerContext ctx, Slot session, ProxyCall call, EgressReason reason, String why) {
    surroundings
        .decisions()
        .record(
            session.attachment().tenant(),
            AuditEvent.newBuilder()
                .setSandbox(session.attachment().sandbox())
                .setProtocol(call.inOriginForm().isPresent() ? "http" : "tcp")
                .setHost(call.host().toString())
                .setPort(call.port())
                .setVerdict(Verdict.VERDICT_DENIED)
                .setReason(reason)
                .setStatus(Answers.status(reason))
                .setMessage(why));
    answer(ctx, reason, why);
  }

  private void answer(ChannelHandlerContext ctx, EgressReason reason, String why) {
    over = true;
    ByteBuf body = Answers.refusal(reason, why, "").body();
    String challenge =
        reason == EgressReason.EGRESS_REASON_PROXY_AUTHENTICATION
            ? "proxy-authenticate: Basic realm=\"cofferdam\"\r\nproxy-authenticate: Bearer\r\n"
            : "";
    String head =
        "HTTP/1.1 %d %s\r\n%scofferdam-reason: %s\r\ncontent-type: application/json\r\ncache-control: no-store\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
            .formatted(
                Answers.status(reason),
                Reasons.text(reason),
                challenge,
                Reasons.text(reason),
                body.readableBytes());
    ctx.write(ByteBufUtil.writeAscii(ctx.alloc(), head));
    ctx.writeAndFlush(body).addListener(_ -> Http1ServerHandler.hangUp(ctx));
  }

  @Override
  public void handlerRemoved(ChannelHandlerContext ctx) {
    if (deadline != null) {
      deadline.cancel(false);
    }
    received.release();
    received = Unpooled.EMPTY_BUFFER;
  }

  @Override
  public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
    Faults.close(ctx, cause);
  }
}
