package dev.cofferdam.gateway;

import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.IoEventLoop;
import io.netty.channel.IoHandlerFactory;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.util.concurrent.EventExecutor;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Event loops of which one slot's connections have a quarter, at least one: whoever floods holds up
 * those who share them, and takes what the system's scheduler gives to so many threads, not all
 * there is. Slots side by side have different ones.
 */
final class SlotLoops extends MultiThreadIoEventLoopGroup {
  private static final int SHARE = 4;

  private final List<IoEventLoop> loops = new ArrayList<>();
  private final AtomicInteger turn = new AtomicInteger();

  /**
   * @param threads 0 for as many as Netty would have
   */
  SlotLoops(int threads, IoHandlerFactory factory) {
    super(threads, factory);
    for (EventExecutor loop : this) {
      loops.add((IoEventLoop) loop);
    }
  }

  /**
   * What nobody is connected to, such as a listening socket, has the next one, and so have programs
   * of this machine, which no address tells apart.
   */
  @Override
  @SuppressWarnings("deprecation") // by it Netty registers what it accepts or connects
  public ChannelFuture register(Channel channel) {
    return channel.remoteAddress() instanceof InetSocketAddress guest
            && !guest.getAddress().isLoopbackAddress()
        ? of(guest).register(channel)
        : super.register(channel);
  }

  private IoEventLoop of(InetSocketAddress guest) {
    int each = Math.max(1, loops.size() / SHARE);
    // Of IPv4 it is the address itself: consecutive ones are those of consecutive slots.
    long first = (long) guest.getAddress().hashCode() * each;
    int own = Math.floorMod(turn.getAndIncrement(), each);
    return loops.get((int) Math.floorMod(first + own, (long) loops.size()));
  }
}
