package dev.cofferdam.gateway;

import dev.cofferdam.gateway.dns.DnsAnswers;
import dev.cofferdam.gateway.dns.DnsHandlers;
import dev.cofferdam.gateway.proxy.GuestConnections;
import dev.cofferdam.gateway.proxy.Limits;
import dev.cofferdam.gateway.proxy.ProxyConnections;
import dev.cofferdam.gateway.proxy.Surroundings;
import io.netty.bootstrap.Bootstrap;
import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.WriteBufferWaterMark;
import io.netty.channel.epoll.EpollDatagramChannel;
import io.netty.channel.epoll.EpollIoHandler;
import io.netty.channel.epoll.EpollServerSocketChannel;
import io.netty.handler.ssl.SslContext;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;

/** The sockets that guests reach. Nothing is accepted before they are started. */
public final class Listeners implements AutoCloseable {
  private static final WriteBufferWaterMark WATER_MARK =
      new WriteBufferWaterMark(64 << 10, 256 << 10);

  private final EventLoopGroup group;
  private final Limits limits;
  private final List<Channel> channels = new ArrayList<>();

  public Listeners(Limits limits) {
    this(new SlotLoops(0, EpollIoHandler.newFactory()), limits);
  }

  private Listeners(EventLoopGroup group, Limits limits) {
    this.group = group;
    this.limits = limits;
  }

  /** Adopts what was inherited. */
  public void adopt(InheritedSockets sockets, Surroundings surroundings, DnsAnswers answers) {
    GuestConnections guests =
        new GuestConnections(surroundings, channel -> (InetSocketAddress) channel.localAddress());
    started(
        server(guests)
            .channelFactory(() -> new EpollServerSocketChannel(sockets.tcp()))
            .register());
    started(
        new Bootstrap()
            .group(group)
            .channelFactory(() -> new EpollDatagramChannel(sockets.dnsUdp()))
            .handler(DnsHandlers.udp(answers))
            .register());
    started(
        server(DnsHandlers.tcp(answers, limits.idleTimeout(), limits.connectionsPerSandbox()))
            .channelFactory(() -> new EpollServerSocketChannel(sockets.dnsTcp()))
            .register());
  }

  /**
   * Listens on an address of its own, for tests and for what is not behind TPROXY.
   *
   * @param destination what the guest asked for
   */
  public InetSocketAddress listen(
      InetSocketAddress address,
      Surroundings surroundings,
      Function<Channel, InetSocketAddress> destination) {
    return started(
        server(new GuestConnections(surroundings, destination))
            .channel(EpollServerSocketChannel.class)
            .bind(address));
  }

  /**
   * Listens as an explicit proxy.
   *
   * @param tls in which it is spoken to
   */
  public InetSocketAddress listenProxy(
      InetSocketAddress address, Surroundings surroundings, Optional<SslContext> tls) {
    return started(
        server(new ProxyConnections(surroundings, tls))
            .channel(EpollServerSocketChannel.class)
            .bind(address));
  }

  /** DNS over UDP, then over TCP at the same port. */
  public InetSocketAddress listenDns(InetSocketAddress address, DnsAnswers answers) {
    InetSocketAddress bound =
        started(
            new Bootstrap()
                .group(group)
                .channel(EpollDatagramChannel.class)
                .handler(DnsHandlers.udp(answers))
                .bind(address));
    started(
        server(DnsHandlers.tcp(answers, limits.idleTimeout(), limits.connectionsPerSandbox()))
            .channel(EpollServerSocketChannel.class)
            .bind(bound));
    return bound;
  }

  private ServerBootstrap server(io.netty.channel.ChannelHandler child) {
    return new ServerBootstrap()
        .group(group)
        .option(ChannelOption.SO_BACKLOG, 4096)
        .childOption(ChannelOption.TCP_NODELAY, true)
        .childOption(ChannelOption.SO_KEEPALIVE, true)
        .childOption(ChannelOption.WRITE_BUFFER_WATER_MARK, WATER_MARK)
        .childHandler(child);
  }

  private InetSocketAddress started(ChannelFuture future) {
    Channel channel = future.syncUninterruptibly().channel();
    channels.add(channel);
    return (InetSocketAddress) channel.localAddress();
  }

  @Override
  public void close() {
    channels.forEach(channel -> channel.close().syncUninterruptibly());
    group.shutdownGracefully(0, 2, TimeUnit.SECONDS).syncUninterruptibly();
  }
}
