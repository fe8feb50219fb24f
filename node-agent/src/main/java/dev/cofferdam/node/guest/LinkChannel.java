package dev.cofferdam.node.guest;

import io.netty.channel.AdaptiveRecvByteBufAllocator;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelOption;
import io.netty.channel.socket.nio.NioDomainSocketChannel;

/**
 * The socket under a guest's connection. The guest may be hostile, and shares this process's memory
 * and its one event loop with every other. HTTP/2's own limits leave two gaps: frames that ask for
 * an answer (PING, SETTINGS) may come faster than their answers are read, and small frames cost
 * more than their bytes.
 */
final class LinkChannel {
  /** What one guest may hold up of the loop at a time: some ms, of frames that cost most. */
  private static final int BYTES_PER_TURN = 16 << 10;

  /** Answers that wait to be read, beside what HTTP/2's windows let through. */
  private static final int BACKLOG = 256 << 10;

  private LinkChannel() {}

  static Channel open() {
    NioDomainSocketChannel channel = new NioDomainSocketChannel();
    channel
        .config()
        .setOption(
            ChannelOption.RECVBUF_ALLOCATOR,
            new AdaptiveRecvByteBufAllocator(512, 2048, BYTES_PER_TURN).maxMessagesPerRead(1));
    channel.pipeline().addFirst(new Backlog());
    return channel;
  }

  /** Who reads none of the answers is asked nothing more, until he does. */
  private static final class Backlog extends ChannelInboundHandlerAdapter {
    @Override
    public void channelReadComplete(ChannelHandlerContext context) {
      context.fireChannelReadComplete();
      if (context.channel().bytesBeforeWritable() > BACKLOG) {
        context.channel().config().setAutoRead(false);
      }
    }

    @Override
    public void channelWritabilityChanged(ChannelHandlerContext context) {
      if (context.channel().isWritable()) {
        context.channel().config().setAutoRead(true);
      }
      context.fireChannelWritabilityChanged();
    }
  }
}
