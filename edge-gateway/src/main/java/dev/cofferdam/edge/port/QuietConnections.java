package dev.cofferdam.edge.port;

import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.handler.codec.http2.Http2FrameCodec;
import io.netty.util.ReferenceCountUtil;
import io.netty.util.concurrent.ScheduledFuture;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** Closes an HTTP/2 connection on which there was no stream from one look to the next. */
final class QuietConnections extends ChannelInboundHandlerAdapter {
  private final Duration most;
  private int seen = -1;
  private @Nullable ScheduledFuture<?> looks;

  QuietConnections(Duration most) {
    this.most = most;
  }

  @Override
  public void handlerAdded(ChannelHandlerContext ctx) {
    long period = Math.max(1, most.toMillis() / 2);
    looks =
        ctx.executor()
            .scheduleWithFixedDelay(() -> look(ctx), period, period, TimeUnit.MILLISECONDS);
  }

  private void look(ChannelHandlerContext ctx) {
    Http2FrameCodec codec = ctx.pipeline().get(Http2FrameCodec.class);
    if (codec == null || codec.connection().numActiveStreams() > 0) {
      seen = -1;
      return;
    }
    int last = codec.connection().remote().lastStreamCreated();
    if (last == seen) {
      ctx.close();
    }
    seen = last;
  }

  /** Frames that concern the connection alone. */
  @Override
  public void channelRead(ChannelHandlerContext ctx, Object message) {
    ReferenceCountUtil.release(message);
  }

  @Override
  public void handlerRemoved(ChannelHandlerContext ctx) {
    if (looks != null) {
      looks.cancel(false);
    }
  }

  @Override
  public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
    ctx.close();
  }
}
