package dev.cofferdam.edge.port;

import dev.cofferdam.edge.mesh.MeshClient;
import dev.cofferdam.kit.http.Http1Parser;
import dev.cofferdam.kit.http.Http1ServerHandler;
import dev.cofferdam.kit.http.Http2ServerStreamHandler;
import io.micrometer.core.instrument.MeterRegistry;
import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.epoll.EpollIoHandler;
import io.netty.channel.epoll.EpollServerSocketChannel;
import io.netty.channel.socket.SocketChannel;
import io.netty.handler.codec.http2.Http2FrameCodecBuilder;
import io.netty.handler.codec.http2.Http2MultiplexHandler;
import io.netty.handler.codec.http2.Http2Settings;
import java.net.InetSocketAddress;
import java.security.SecureRandom;
import java.time.InstantSource;
import java.util.Optional;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * The listener of ports' URLs: HTTP/1.1 and HTTP/2, told apart by their first bytes, in TLS or in
 * clear. By which name TLS was begun is not asked: each request says for itself where it goes, and
 * brings its own token.
 */
public final class PortServer implements AutoCloseable {
  private static final int BACKLOG = 1024;
  private static final int STREAMS = 128;

  /** Of each HTTP/2 stream: what a client may send before the sandbox has taken any of it. */
  private static final int WINDOW = 64 << 10;

  /** How soon a changed certificate is noticed, in seconds. */
  private static final long RELOAD_SECONDS = 5;

  private static final int RESETS = 200;
  private static final int RESETS_SECONDS = 10;

  private final EventLoopGroup group = new MultiThreadIoEventLoopGroup(EpollIoHandler.newFactory());
  private final PortSettings settings;
  private final PortRelay relay;
  private final SecureRandom random;
  private final AtomicInteger connections = new AtomicInteger();
  private final Optional<PortTls> tls;
  private final Channel listening;

  private PortServer(PortSettings settings, PortRelay relay, SecureRandom random) {
    this.settings = settings;
    this.relay = relay;
    this.random = random;
    this.tls = settings.tls().map(PortTls::new);
    tls.ifPresent(files ->
        group.scheduleWithFixedDelay(
            files::reload, RELOAD_SECONDS, RELOAD_SECONDS, TimeUnit.SECONDS));
    this.listening =
        new ServerBootstrap()
            .group(group)
            .channel(EpollServerSocketChannel.class)
            .option(ChannelOption.SO_BACKLOG, BACKLOG)
            .childOption(ChannelOption.TCP_NODELAY, true)
            .childHandler(
                new ChannelInitializer<SocketChannel>() {
                  @Override
                  protected void initChannel(SocketChannel channel) {
                    accepted(channel);
                  }
                })
            .bind(
                new InetSocketAddress(
                    settings.listen().getHostString(), settings.listen().getPort()))
            .syncUninterruptibly()
            .channel();
  }

  /**
   * @param threads makes a thread for each task
   */
  public static PortServer start(
      PortSettings settings,
      MeshClient mesh,
      Executor threads,
      InstantSource clock,
      SecureRandom random,
      MeterRegistry meters) {
    return new PortServer(settings, new PortRelay(settings, mesh, threads, clock, meters), random);
  }

  public int port() {
    return ((InetSocketAddress) listening.localAddress()).getPort();
  }

  private void accepted(SocketChannel channel) {
    channel.closeFuture().addListener(_ -> connections.decrementAndGet());
    if (connections.incrementAndGet() > settings.connections()) {
      channel.close();
      return;
    }
    String from = channel.remoteAddress().getAddress().getHostAddress();
    tls.ifPresent(files -> channel.pipeline().addLast(files.current().newHandler(channel.alloc())));
    channel
        .pipeline()
        .addLast(
            new Beginning(
                settings.headTime(),
                context -> http1(context, from),
                context -> http2(context, from)));
  }

  private void http1(ChannelHandlerContext context, String from) {
    context
        .pipeline()
        .addLast(new Http1ServerHandler(settings.headBytes(), Http1Parser.OtherUpgrades.IGNORED))
        .addLast(new HeadClock(settings.headTime(), settings.keepAlive()))
        .addLast(exchanges(from));
  }

  private ExchangeHandler exchanges(String from) {
    return new ExchangeHandler(relay, settings.stall(), from, tls.isPresent() ? "https" : "http");
  }

  private void http2(ChannelHandlerContext context, String from) {
    context
        .pipeline()
        .addLast(
            Http2FrameCodecBuilder.forServer()
                .initialSettings(
                    Http2Settings.defaultSettings()
                        .maxConcurrentStreams(STREAMS)
                        .maxHeaderListSize(settings.headBytes())
                        .initialWindowSize(WINDOW)
                        // RFC 8441: WebSockets.
                        .connectProtocolEnabled(true))
                .validateHeaders(true)
                // Rapid reset (CVE-2023-44487) and MadeYouReset (CVE-2025-8671).
                .decoderEnforceMaxRstFramesPerWindow(RESETS, RESETS_SECONDS)
                .encoderEnforceMaxRstFramesPerWindow(RESETS, RESETS_SECONDS)
                .decoderEnforceMaxConsecutiveEmptyDataFrames(2)
                .decoderEnforceMaxSmallContinuationFrames(16)
                .encoderEnforceMaxQueuedControlFrames(1000)
                .build())
        .addLast(
            new Http2MultiplexHandler(
                new ChannelInitializer<>() {
                  @Override
                  protected void initChannel(Channel stream) {
                    stream
                        .pipeline()
                        .addLast(new Http2ServerStreamHandler(random))
                        .addLast(exchanges(from));
                  }
                }))
        .addLast(new QuietConnections(settings.keepAlive()));
  }

  @Override
  public void close() {
    listening.close().syncUninterruptibly();
    group.shutdownGracefully(0, 2, TimeUnit.SECONDS).syncUninterruptibly();
  }
}
