package dev.cofferdam.edge.api;

import com.linecorp.armeria.server.ServiceRequestContext;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.util.ReferenceCountUtil;
import java.time.Duration;
import java.util.concurrent.TimeUnit;

/**
 * The end of a connection whose socket is over from this side. What its client still sends is
 * thrown away for a moment: closed at once, TCP may take back the close that tells why, and what is
 * not read at all keeps a client that sends from reading it.
 */
final class Linger extends ChannelInboundHandlerAdapter {
  private static final Duration MOMENT = Duration.ofSeconds(2);

  /**
   * Safe to call from any thread. HTTP/1.1 alone is spoken here: the connection is the socket's.
   */
  static void begin(ServiceRequestContext context) {
    Channel channel = context.log().partial().channel();
    if (channel == null) {
      return;
    }
    channel
        .eventLoop()
        .execute(() -> {
          channel.pipeline().addFirst(new Linger());
          channel.config().setAutoRead(true);
          var _ =
              channel
                  .eventLoop()
                  .schedule(
                      () -> {
                        var _ = channel.close();
                      },
                      MOMENT.toMillis(),
                      TimeUnit.MILLISECONDS);
        });
  }

  /** Without a moment: behind what was written, for nothing comes any more. Likewise. */
  static void over(ServiceRequestContext context) {
    Channel channel = context.log().partial().channel();
    if (channel == null) {
      return;
    }
    channel
        .eventLoop()
        .execute(() -> {
          ChannelHandlerContext first = channel.pipeline().firstContext();
          if (first != null) {
            var _ =
                first.writeAndFlush(Unpooled.EMPTY_BUFFER).addListener(ChannelFutureListener.CLOSE);
          }
        });
  }

  @Override
  public void channelRead(ChannelHandlerContext context, Object message) {
    ReferenceCountUtil.release(message);
  }
}
