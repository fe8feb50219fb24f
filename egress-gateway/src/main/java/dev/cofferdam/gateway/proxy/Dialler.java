package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.v1.EgressReason;
import io.netty.bootstrap.Bootstrap;
import io.netty.buffer.ByteBufAllocator;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelOption;
import io.netty.channel.ConnectTimeoutException;
import io.netty.channel.EventLoop;
import io.netty.channel.epoll.EpollSocketChannel;
import io.netty.util.concurrent.Future;
import io.netty.util.concurrent.Promise;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.List;

/** Makes plain connections to upstreams. Bound to one event loop. */
final class Dialler {
  /** Of one name: a guest does not wait for more dead ones than this. */
  private static final int MAX_ADDRESSES = 3;

  /** What answered first, and where. */
  record Dialled(InetAddress address, Channel channel) {}

  private final EventLoop loop;
  private final Bootstrap bootstrap;

  /**
   * @param timeout for each address
   */
  Dialler(EventLoop loop, ByteBufAllocator allocator, Duration timeout) {
    this.loop = loop;
    this.bootstrap =
        new Bootstrap()
            .group(loop)
            .channel(EpollSocketChannel.class)
            .option(ChannelOption.ALLOCATOR, allocator)
            .option(ChannelOption.TCP_NODELAY, true)
            .option(ChannelOption.SO_KEEPALIVE, true)
            .option(ChannelOption.CONNECT_TIMEOUT_MILLIS, (int) timeout.toMillis());
  }

  /**
   * Tries one address after the other. Fails with an {@link UpstreamException}.
   *
   * @param addresses of the host, at least one
   */
  Future<Dialled> dial(Host host, List<InetAddress> addresses, int port) {
    Promise<Dialled> promise = loop.newPromise();
    dial(host, addresses, port, 0, promise);
    return promise;
  }

  private void dial(
      Host host, List<InetAddress> addresses, int port, int which, Promise<Dialled> promise) {
    InetAddress address = addresses.get(which);
    bootstrap
        .clone()
        // One for each: a handler belongs to one channel.
        .handler(new ChannelInboundHandlerAdapter())
        .connect(new InetSocketAddress(address, port))
        .addListener((ChannelFuture connected) -> {
          if (connected.isSuccess()) {
            promise.setSuccess(new Dialled(address, connected.channel()));
          } else if (which + 1 < Math.min(addresses.size(), MAX_ADDRESSES)) {
            dial(host, addresses, port, which + 1, promise);
          } else {
            promise.setFailure(unreachable(host, port, connected.cause()));
          }
        });
  }

  static UpstreamException unreachable(Host host, int port, Throwable why) {
    return new UpstreamException(
        why instanceof ConnectTimeoutException
            ? EgressReason.EGRESS_REASON_UPSTREAM_TIMEOUT
            : EgressReason.EGRESS_REASON_UPSTREAM_UNREACHABLE,
        "%s:%d could not be reached".formatted(host, port));
  }
}
