package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.event.Faults;
import dev.cofferdam.kit.http.End;
import dev.cofferdam.kit.http.MalformedException;
import dev.cofferdam.kit.http.RequestHead;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.Verdict;
import io.netty.buffer.ByteBuf;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.handler.codec.http2.Http2ResetFrame;
import io.netty.util.ReferenceCountUtil;
import io.netty.util.concurrent.Future;
import java.util.HexFormat;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** The end of a guest's pipeline: hands each request's parts to its {@link Exchange}. */
final class GuestHandler extends ChannelInboundHandlerAdapter {
  private final Surroundings surroundings;
  private final GuestConnection connection;
  private final boolean keepsAlive;
  private @Nullable Exchange exchange;
  private @Nullable Future<?> idle;

  /**
   * @param keepsAlive requests follow one another, and the time between them is bounded
   */
  GuestHandler(Surroundings surroundings, GuestConnection connection, boolean keepsAlive) {
    this.surroundings = surroundings;
    this.connection = connection;
    this.keepsAlive = keepsAlive;
  }

  @Override
  public void handlerAdded(ChannelHandlerContext ctx) {
    await(ctx, surroundings.limits().headerTimeout().toMillis());
  }

  private void await(ChannelHandlerContext ctx, long millis) {
    if (keepsAlive) {
      idle = ctx.executor().schedule(() -> ctx.channel().close(), millis, TimeUnit.MILLISECONDS);
    }
  }

  private void busy() {
    if (idle != null) {
      idle.cancel(false);
    }
  }

  @Override
  public void channelRead(ChannelHandlerContext ctx, Object message) {
    switch (message) {
      case RequestHead head -> {
        busy();
        byte[] id = new byte[16];
        surroundings.random().nextBytes(id);
        Exchange fresh =
            new Exchange(
                surroundings,
                connection,
                ctx.channel(),
                head,
                HexFormat.of().formatHex(id),
                () -> over(ctx));
        exchange = fresh;
        fresh.begin();
      }
      case ByteBuf data -> {
        if (exchange == null) {
          data.release();
        } else {
          exchange.body(data);
        }
      }
      case End end -> {
        if (exchange != null) {
          exchange.bodyEnds(end);
        }
      }
      case MalformedException malformed -> malformed(ctx, malformed);
      case Http2ResetFrame _ -> ctx.close();
      default -> ReferenceCountUtil.release(message);
    }
  }

  private void over(ChannelHandlerContext ctx) {
    exchange = null;
    await(ctx, surroundings.limits().idleTimeout().toMillis());
  }

  private void malformed(ChannelHandlerContext ctx, MalformedException malformed) {
    busy();
    EgressReason reason = reason(malformed.reason());
    if (exchange != null) {
      exchange.refuse(reason, malformed.text());
      return;
    }
    AuditEvent.Builder event =
        connection
            .event(connection.tls() ? "https" : "http", Verdict.VERDICT_DENIED, reason)
            .setHost(
                connection
                    .serverName()
                    .or(connection::syntheticName)
                    .map(Object::toString)
                    .orElse(""))
            .setStatus(Answers.status(reason))
            .setMessage(malformed.text());
    surroundings.decisions().record(connection.slot().attachment().tenant(), event);
    Answers.refusal(reason, malformed.text(), "").writeTo(ctx);
  }

  private static EgressReason reason(MalformedException.Reason reason) {
    return switch (reason) {
      case SYNTAX -> EgressReason.EGRESS_REASON_MALFORMED_REQUEST;
      case HEAD_TOO_LARGE -> EgressReason.EGRESS_REASON_HEADERS_TOO_LARGE;
      case CONNECT, UPGRADE, EXTENDED_CONNECT -> EgressReason.EGRESS_REASON_PROTOCOL_NOT_ALLOWED;
    };
  }

  @Override
  public void channelWritabilityChanged(ChannelHandlerContext ctx) {
    if (exchange != null && ctx.channel().isWritable()) {
      exchange.guestWritable();
    }
    ctx.fireChannelWritabilityChanged();
  }

  @Override
  public void userEventTriggered(ChannelHandlerContext ctx, Object event) {
    if (event instanceof Http2ResetFrame) {
      ctx.close();
    }
    ctx.fireUserEventTriggered(event);
  }

  @Override
  public void channelInactive(ChannelHandlerContext ctx) {
    busy();
    if (exchange != null) {
      exchange.guestGone();
    }
    ctx.fireChannelInactive();
  }

  @Override
  public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
    Faults.close(ctx, cause);
  }
}
