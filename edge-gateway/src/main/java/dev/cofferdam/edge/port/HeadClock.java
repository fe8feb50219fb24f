package dev.cofferdam.edge.port;

import dev.cofferdam.edge.protocol.HttpError;
import dev.cofferdam.kit.http.End;
import dev.cofferdam.kit.http.Http1ServerHandler;
import dev.cofferdam.kit.http.RequestHead;
import io.netty.channel.ChannelDuplexHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelPromise;
import io.netty.util.concurrent.ScheduledFuture;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Bounds the time for heads of HTTP/1.1 and between them. Stands behind {@link Http1ServerHandler};
 * where a head is late, hands on an {@link HttpError}.
 */
final class HeadClock extends ChannelDuplexHandler {
  private final Duration headTime;
  private final Duration idleTime;

  /** Of a head that has begun, or of a connection on which none has. */
  private @Nullable ScheduledFuture<?> deadline;

  private boolean begun;

  /**
   * @param headTime from a head's first byte, or the connection's begin, to the head's end
   * @param idleTime from an answer's end to the next request
   */
  HeadClock(Duration headTime, Duration idleTime) {
    this.headTime = headTime;
    this.idleTime = idleTime;
  }

  @Override
  public void handlerAdded(ChannelHandlerContext ctx) {
    within(ctx, headTime);
  }

  private void within(ChannelHandlerContext ctx, Duration time) {
    stop();
    deadline = ctx.executor().schedule(() -> late(ctx), time.toMillis(), TimeUnit.MILLISECONDS);
  }

  private void stop() {
    if (deadline != null) {
      deadline.cancel(false);
      deadline = null;
    }
  }

  private void late(ChannelHandlerContext ctx) {
    Http1ServerHandler requests = ctx.pipeline().get(Http1ServerHandler.class);
    if (requests != null && requests.inHead()) {
      requests.readNoMore();
      ctx.fireChannelRead(
          new HttpError(408, "HEAD_TIMEOUT", "the request's head was not whole in time"));
    } else {
      ctx.close();
    }
  }

  @Override
  public void channelRead(ChannelHandlerContext ctx, Object message) {
    if (message instanceof RequestHead) {
      begun = false;
      stop();
    }
    ctx.fireChannelRead(message);
  }

  @Override
  public void channelReadComplete(ChannelHandlerContext ctx) {
    look(ctx);
    ctx.fireChannelReadComplete();
  }

  private void look(ChannelHandlerContext ctx) {
    Http1ServerHandler requests = ctx.pipeline().get(Http1ServerHandler.class);
    if (!begun && requests != null && requests.inHead()) {
      begun = true;
      within(ctx, headTime);
    }
  }

  @Override
  public void write(ChannelHandlerContext ctx, Object message, ChannelPromise promise) {
    ctx.write(message, promise);
    if (message instanceof End && ctx.channel().isOpen()) {
      within(ctx, idleTime);
      look(ctx);
    }
  }

  @Override
  public void handlerRemoved(ChannelHandlerContext ctx) {
    stop();
  }
}
