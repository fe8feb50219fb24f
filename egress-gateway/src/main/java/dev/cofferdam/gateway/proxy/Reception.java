package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.event.Decisions;
import dev.cofferdam.gateway.event.Faults;
import dev.cofferdam.gateway.policy.Decision;
import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.gateway.tls.ClientHello;
import dev.cofferdam.kit.http.Http1Parser;
import dev.cofferdam.kit.http.Http1ServerHandler;
import dev.cofferdam.kit.http.Http2ServerStreamHandler;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.Verdict;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelInitializer;
import io.netty.handler.codec.ByteToMessageDecoder;
import io.netty.handler.ssl.ApplicationProtocolNames;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslHandler;
import io.netty.handler.ssl.SslHandshakeCompletionEvent;
import io.netty.util.concurrent.Future;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Looks at the first bytes of a connection and decides what it is: TLS to be intercepted, HTTP, or
 * bytes to be relayed. Then it leaves the pipeline to those that carry this out.
 */
final class Reception extends ChannelInboundHandlerAdapter {
  private final Surroundings surroundings;
  private final GuestConnection connection;
  private ByteBuf received = Unpooled.EMPTY_BUFFER;
  private boolean decided;
  private @Nullable Future<?> deadline;

  Reception(Surroundings surroundings, GuestConnection connection) {
    this.surroundings = surroundings;
    this.connection = connection;
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
  public void channelActive(ChannelHandlerContext ctx) {
    if (surroundings.lease().expired()) {
      deny(
          ctx,
          "tcp",
          connection.address().getHostAddress(),
          EgressReason.EGRESS_REASON_LEASE_EXPIRED,
          "the policy's lease has ended");
      return;
    }
    Optional<Host> known = relayTarget();
    if (known.isPresent()) {
      // At once: in many protocols the server speaks first.
      decided = true;
      relay(ctx, known.get(), Optional.of(known.get()));
    }
    ctx.fireChannelActive();
  }

  /** What is relayed whatever it says: a literal address or a name with a pass-through rule. */
  private Optional<Host> relayTarget() {
    Optional<Host> host =
        Host.isSynthetic(connection.address())
            ? connection.syntheticName().map(Host.class::cast)
            : Optional.of(new Host.Literal(connection.address()));
    return host.filter(h ->
        connection.slot().attachment().policy().decide(h, connection.port())
                instanceof Decision.Allowed(boolean passthrough)
            && passthrough);
  }

  @Override
  public void channelRead(ChannelHandlerContext ctx, Object message) {
    ByteBuf more = (ByteBuf) message;
    received = ByteToMessageDecoder.MERGE_CUMULATOR.cumulate(ctx.alloc(), received, more);
    if (!decided) {
      look(ctx);
    }
  }

  private void look(ChannelHandlerContext ctx) {
    switch (ClientHello.peek(received)) {
      case ClientHello.Peek.NeedsMore _ -> {
        // The deadline bounds the wait.
      }
      case ClientHello.Peek.Malformed(String why) ->
          deny(ctx, "tls", "", EgressReason.EGRESS_REASON_PROTOCOL_NOT_ALLOWED, why);
      case ClientHello.Peek.Hello(ClientHello hello) -> tls(ctx, hello);
      case ClientHello.Peek.NotTls _ -> cleartext(ctx);
    }
  }

  private void tls(ChannelHandlerContext ctx, ClientHello hello) {
    decided = true;
    String shown = hello.serverName().orElse("");
    Host host = hello.serverName().flatMap(Host::parse).orElse(null);
    if (!(host instanceof Host.Name name)) {
      deny(
          ctx,
          "tls",
          shown,
          EgressReason.EGRESS_REASON_SNI_MISSING,
          "no host name in the ClientHello");
      return;
    }
    Optional<Host.Name> expected = connection.syntheticName();
    if (expected.isPresent() && !expected.get().equals(name)) {
      deny(
          ctx,
          "tls",
          name.value(),
          EgressReason.EGRESS_REASON_HOST_MISMATCH,
          "SNI names " + name + ", the address belongs to " + expected.get());
      return;
    }
    switch (connection.slot().attachment().policy().decide(name, connection.port())) {
      case Decision.Denied(EgressReason reason, String why) ->
          deny(ctx, "tls", name.value(), reason, why);
      case Decision.Allowed(boolean passthrough) -> {
        if (passthrough && hello.encrypted()) {
          // The upstream may have keys for it, and the name inside is the one that counts.
          deny(
              ctx,
              "tls",
              name.value(),
              EgressReason.EGRESS_REASON_SNI_MISSING,
              "an encrypted ClientHello cannot be judged");
        } else if (passthrough) {
          relay(ctx, name, Optional.empty());
        } else {
          // An encrypted ClientHello is ignored here, as by any server without keys for it: what is
          // sent from here on goes to the outer name and to no other.
          intercept(ctx, name, hello.http2());
        }
      }
    }
  }

  /** Connects first: what the guest is offered is what the upstream speaks. */
  private void intercept(ChannelHandlerContext ctx, Host.Name name, boolean offersHttp2) {
    heard();
    ctx.channel().config().setAutoRead(false);
    connection.admitIntercepted(name, offersHttp2);
    surroundings
        .upstreams()
        .of(ctx.channel().eventLoop())
        .protocol(connection.slot(), name, connection.port(), offersHttp2)
        .addListener((Future<Boolean> spoken) -> {
          // Where there is no upstream the guest still gets an answer that says why.
          boolean http2 = !spoken.isSuccess() || spoken.getNow();
          surroundings
              .certificates()
              .context(connection.slot().attachment(), name, http2)
              .whenComplete((context, thrown) ->
                  ctx.executor().execute(() -> handshake(ctx, name, context, thrown)));
        });
  }

  private void handshake(
      ChannelHandlerContext ctx,
      Host.Name name,
      @Nullable SslContext context,
      @Nullable Throwable thrown) {
    if (ctx.isRemoved() || !ctx.channel().isActive()) {
      return;
    }
    if (context == null) {
      deny(
          ctx,
          "tls",
          name.value(),
          EgressReason.EGRESS_REASON_BROKER_UNAVAILABLE,
          "no certificate for this host: " + thrown);
      return;
    }
    SslHandler handler = context.newHandler(ctx.alloc());
    handler.setHandshakeTimeoutMillis(surroundings.limits().headerTimeout().toMillis());
    long began = System.nanoTime();
    ctx.pipeline().addLast(handler);
    ctx.pipeline()
        .addLast(
            new ChannelInboundHandlerAdapter() {
              @Override
              public void userEventTriggered(ChannelHandlerContext after, Object event) {
                if (event instanceof SslHandshakeCompletionEvent done) {
                  surroundings
                      .upstreams()
                      .meters()
                      .handshake(ConnectionMeters.Side.IN, began, done.isSuccess());
                  shaken(after, name, handler, done);
                  after.pipeline().remove(this);
                } else {
                  after.fireUserEventTriggered(event);
                }
              }

              @Override
              public void exceptionCaught(ChannelHandlerContext after, Throwable cause) {
                Faults.close(after, cause);
              }
            });
    leave(ctx);
  }

  private void shaken(
      ChannelHandlerContext ctx,
      Host.Name name,
      SslHandler handler,
      SslHandshakeCompletionEvent done) {
    if (!done.isSuccess()) {
      record(
          "tls",
          name.value(),
          EgressReason.EGRESS_REASON_TLS_HANDSHAKE,
          "the guest broke off the handshake: " + done.cause());
      ctx.channel().close();
    } else if (ApplicationProtocolNames.HTTP_2.equals(handler.applicationProtocol())) {
      http2(ctx.channel());
    } else {
      http1(ctx.channel());
    }
  }

  private void http2(Channel channel) {
    channel.pipeline().addLast(new IdleGuest(surroundings.limits()));
    Http2Connections.server(
        channel,
        connection.slot().wideConnections(),
        surroundings.limits().headerBytes(),
        new ChannelInitializer<>() {
          @Override
          protected void initChannel(Channel stream) {
            stream
                .pipeline()
                .addLast(new Http2ServerStreamHandler(surroundings.random()))
                .addLast(new GuestHandler(surroundings, connection, false));
          }
        });
  }

  private void http1(Channel channel) {
    channel
        .pipeline()
        .addLast(
            new Http1ServerHandler(
                surroundings.limits().headerBytes(), Http1Parser.OtherUpgrades.REFUSED))
        .addLast(new GuestHandler(surroundings, connection, true));
  }

  private void cleartext(ChannelHandlerContext ctx) {
    // The shortest request line is longer; a method is upper-case letters in practice.
    int length = Math.min(received.readableBytes(), 8);
    String start = received.toString(received.readerIndex(), length, StandardCharsets.ISO_8859_1);
    if (!start.matches("\r?\n?([A-Z]+( .*)?)?")) {
      decided = true;
      deny(
          ctx,
          "tcp",
          connection
              .syntheticName()
              .map(Host.Name::value)
              .orElse(connection.address().getHostAddress()),
          EgressReason.EGRESS_REASON_PROTOCOL_NOT_ALLOWED,
          "neither TLS nor HTTP, and no rule that relays it");
      return;
    }
    decided = true;
    http1(ctx.channel());
    leave(ctx);
  }

  /**
   * @param fromAddress the name of the address, where TLS inside has to agree with it
   */
  private void relay(ChannelHandlerContext ctx, Host host, Optional<Host> fromAddress) {
    heard();
    ctx.channel().config().setAutoRead(false);
    connection.admitRelayed(host);
    Optional<Host.Name> expected =
        fromAddress.filter(Host.Name.class::isInstance).map(Host.Name.class::cast);
    TcpRelay.start(
        surroundings,
        connection,
        host,
        expected,
        ctx,
        () -> leave(ctx),
        why -> deny(ctx, "tcp", host.toString(), why.reason(), String.valueOf(why.getMessage())));
  }

  /** The guest has said what it has to for now: what takes long from here on is not its doing. */
  private void heard() {
    if (deadline != null) {
      deadline.cancel(false);
    }
  }

  /** Hands what was received to those that come after. */
  private void leave(ChannelHandlerContext ctx) {
    ByteBuf bytes = received;
    received = Unpooled.EMPTY_BUFFER;
    ctx.channel().config().setAutoRead(true);
    if (bytes.isReadable()) {
      ctx.fireChannelRead(bytes);
    } else {
      bytes.release();
    }
    ctx.fireChannelReadComplete();
    ctx.pipeline().remove(this);
  }

  private void deny(
      ChannelHandlerContext ctx, String protocol, String host, EgressReason reason, String why) {
    decided = true;
    record(protocol, host, reason, why);
    ctx.channel().close();
  }

  private void record(String protocol, String host, EgressReason reason, String why) {
    Decisions decisions = surroundings.decisions();
    AuditEvent.Builder event =
        connection.event(protocol, Verdict.VERDICT_DENIED, reason).setHost(host).setMessage(why);
    decisions.record(connection.slot().attachment().tenant(), event);
  }

  @Override
  public void handlerRemoved(ChannelHandlerContext ctx) {
    heard();
    received.release();
    received = Unpooled.EMPTY_BUFFER;
  }

  @Override
  public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
    Faults.close(ctx, cause);
  }
}
