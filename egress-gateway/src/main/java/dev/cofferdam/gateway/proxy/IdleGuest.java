package dev.cofferdam.gateway.proxy;

import io.netty.channel.ChannelHandlerContext;
import io.netty.handler.codec.http2.Http2MultiplexHandler;
import io.netty.handler.timeout.IdleStateEvent;
import io.netty.handler.timeout.IdleStateHandler;
import java.util.concurrent.TimeUnit;

/** Closes a guest's HTTP/2 connection on which nothing happened for long and no answer is due. */
final class IdleGuest extends IdleStateHandler {
  IdleGuest(Limits limits) {
    super(0, 0, limits.idleTimeout().toMillis(), TimeUnit.MILLISECONDS);
  }

  @Override
  protected void channelIdle(ChannelHandlerContext ctx, IdleStateEvent event) {
    io.netty.handler.codec.http2.Http2FrameCodec codec =
        ctx.pipeline().get(io.netty.handler.codec.http2.Http2FrameCodec.class);
    boolean serving =
        codec != null
            && ctx.pipeline().get(Http2MultiplexHandler.class) != null
            && codec.connection().numActiveStreams() > 0;
    if (!serving) {
      ctx.close();
    }
  }
}
