package dev.cofferdam.gateway.proxy;

import com.google.common.net.InetAddresses;
import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.gateway.tls.UpstreamTls;
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
import io.netty.util.concurrent.PromiseNotifier;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * Makes plain connections to upstreams, through the operator's proxy where there is one. Bound to
 * one event loop.
 */
final class Dialler {
  /** Of one name: a guest does not wait for more dead ones than this. */
  private static final int MAX_ADDRESSES = 3;

  /** What answered first, and where. */
  record Dialled(InetAddress address, Channel channel) {}

  private final EventLoop loop;
  private final Bootstrap bootstrap;
  private final ByteBufAllocator allocator;
  private final Resolution resolution;
  private final UpstreamTls tls;
  private final Duration timeout;
  private final ConnectionMeters meters;

  /**
   * @param resolution knows of the proxy
   * @param tls in which a proxy may be spoken to
   * @param timeout for each address, and for the proxy's answer
   */
  Dialler(
      EventLoop loop,
      ByteBufAllocator allocator,
      Resolution resolution,
      UpstreamTls tls,
      Duration timeout,
      ConnectionMeters meters) {
    this.loop = loop;
    this.allocator = allocator;
    this.resolution = resolution;
    this.tls = tls;
    this.timeout = timeout;
    this.meters = meters;
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
   * @param addresses that the host was resolved to, at least one: the proxy's own, where that is
   *     who resolves the name
   */
  Future<Dialled> dial(Host host, List<InetAddress> addresses, int port) {
    Promise<Dialled> promise = loop.newPromise();
    dial(host, addresses, port, 0, promise);
    return promise;
  }

  private void dial(
      Host host, List<InetAddress> addresses, int port, int which, Promise<Dialled> promise) {
    InetAddress address = addresses.get(which);
    way(host, address, port)
        .addListener((Future<Channel> done) -> {
          if (done.isSuccess()) {
            promise.setSuccess(new Dialled(address, done.getNow()));
          } else if (which + 1 < Math.min(addresses.size(), MAX_ADDRESSES)) {
            dial(host, addresses, port, which + 1, promise);
          } else {
            promise.setFailure(
                done.cause() instanceof UpstreamException told
                    ? told
                    : unreachable(host, port, done.cause()));
          }
        });
  }

  private Future<Channel> way(Host host, InetAddress address, int port) {
    Optional<UpstreamProxy> proxy = resolution.proxy();
    if (proxy.isEmpty()) {
      return connect(address, port);
    }
    if (resolution.leavesToProxy(host)) {
      return through(proxy.get(), address, host + ":" + port);
    }
    if (proxy.get().passesBy(host, address)) {
      return connect(address, port);
    }
    String target = InetAddresses.toUriString(address) + ":" + port;
    Promise<Channel> promise = loop.newPromise();
    resolution
        .proxyAddresses(proxy.get())
        .addListener((Future<List<InetAddress>> resolved) -> {
          if (resolved.isSuccess()) {
            through(proxy.get(), resolved.getNow().getFirst(), target)
                .addListener(new PromiseNotifier<>(promise));
          } else {
            promise.setFailure(resolved.cause());
          }
        });
    return promise;
  }

  /**
   * @param address of the proxy
   */
  private Future<Channel> through(UpstreamProxy proxy, InetAddress address, String target) {
    Promise<Channel> promise = loop.newPromise();
    connect(address, proxy.port())
        .addListener((Future<Channel> connected) -> {
          if (!connected.isSuccess()) {
            promise.setFailure(
                new UpstreamException(
                    EgressReason.EGRESS_REASON_UPSTREAM_PROXY,
                    "the operator's proxy could not be reached"));
            return;
          }
          Channel channel = connected.getNow();
          if (proxy.tls()) {
            channel
                .pipeline()
                .addLast(
                    tls.handler(allocator, proxy.host().toString(), proxy.port(), false, timeout));
          }
          ProxyTunnel.open(channel, target, proxy.authorization(), timeout)
              .addListener(new PromiseNotifier<>(promise));
        });
    return promise;
  }

  private Future<Channel> connect(InetAddress address, int port) {
    Promise<Channel> promise = loop.newPromise();
    bootstrap
        .clone()
        // One for each: a handler belongs to one channel.
        .handler(new ChannelInboundHandlerAdapter())
        .connect(new InetSocketAddress(address, port))
        .addListener((ChannelFuture connected) -> {
          if (connected.isSuccess()) {
            meters.opened(connected.channel());
            promise.setSuccess(connected.channel());
          } else {
            promise.setFailure(connected.cause());
          }
        });
    return promise;
  }

  static UpstreamException unreachable(Host host, int port, Throwable why) {
    return new UpstreamException(
        why instanceof ConnectTimeoutException
            ? EgressReason.EGRESS_REASON_UPSTREAM_TIMEOUT
            : EgressReason.EGRESS_REASON_UPSTREAM_UNREACHABLE,
        "%s:%d could not be reached".formatted(host, port));
  }
}
