package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.http.Http1ClientHandler;
import dev.cofferdam.gateway.http.Http2ClientStreamHandler;
import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.gateway.slot.Slot;
import dev.cofferdam.gateway.tls.UpstreamTls;
import dev.cofferdam.kit.buffer.ZeroingAllocator;
import dev.cofferdam.v1.EgressReason;
import io.netty.bootstrap.Bootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoop;
import io.netty.channel.epoll.EpollSocketChannel;
import io.netty.handler.codec.http2.Http2StreamChannel;
import io.netty.handler.codec.http2.Http2StreamChannelBootstrap;
import io.netty.handler.ssl.ApplicationProtocolNames;
import io.netty.handler.ssl.SslHandler;
import io.netty.util.concurrent.Future;
import io.netty.util.concurrent.Promise;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLHandshakeException;
import javax.net.ssl.SSLPeerUnverifiedException;

/** Connects to upstreams and keeps connections that may serve again. Bound to one event loop. */
final class Upstreams {
  private static final int MAX_ADDRESSES = 3;
  private static final long IDLE_SECONDS = 30;
  private static final long SWEEP_SECONDS = 5;
  private static final int MAX_IDLE_PER_KEY = 16;

  private final EventLoop loop;
  private final UpstreamTls tls;
  private final Resolution resolution;
  private final Limits limits;
  private final InstantSource clock;
  private final ZeroingAllocator allocator = new ZeroingAllocator();
  private final Map<UpstreamConnection.Key, Deque<UpstreamConnection>> idle = new HashMap<>();
  private final Map<UpstreamConnection.Key, List<UpstreamConnection>> shared = new HashMap<>();

  Upstreams(
      EventLoop loop, UpstreamTls tls, Resolution resolution, Limits limits, InstantSource clock) {
    this.loop = loop;
    this.tls = tls;
    this.resolution = resolution;
    this.limits = limits;
    this.clock = clock;
    loop.scheduleWithFixedDelay(
        this::closeLongIdle, SWEEP_SECONDS, SWEEP_SECONDS, TimeUnit.SECONDS);
  }

  Resolution resolution() {
    return resolution;
  }

  /**
   * Makes sure of a connection and tells whether it speaks HTTP/2. Fails with {@link
   * UpstreamException}.
   */
  Future<Boolean> protocol(Slot slot, Host.Name host, int port) {
    Promise<Boolean> promise = loop.newPromise();
    connection(slot, key(slot, host, port, true), false)
        .addListener((Future<UpstreamConnection> done) -> {
          if (!done.isSuccess()) {
            promise.setFailure(done.cause());
            return;
          }
          UpstreamConnection connection = done.getNow();
          if (!connection.http2) {
            giveBack(connection);
          }
          promise.setSuccess(connection.http2);
        });
    return promise;
  }

  /**
   * @param fresh do not use a connection that served before
   */
  Future<UpstreamStream> open(Slot slot, Host.Name host, int port, boolean overTls, boolean fresh) {
    Promise<UpstreamStream> promise = loop.newPromise();
    connection(slot, key(slot, host, port, overTls), fresh)
        .addListener((Future<UpstreamConnection> done) -> {
          if (done.isSuccess()) {
            stream(done.getNow(), promise);
          } else {
            promise.setFailure(done.cause());
          }
        });
    return promise;
  }

  private static UpstreamConnection.Key key(Slot slot, Host.Name host, int port, boolean tls) {
    return new UpstreamConnection.Key(
        slot.attachment().tenant(), slot.attachment().sandbox(), host, port, tls);
  }

  private void stream(UpstreamConnection connection, Promise<UpstreamStream> promise) {
    boolean reused = connection.used;
    connection.used = true;
    if (!connection.http2) {
      UpstreamStream stream = new UpstreamStream(this, connection, connection.channel, reused);
      connection.channel.pipeline().addLast(stream);
      promise.setSuccess(stream);
      return;
    }
    connection.streams++;
    new Http2StreamChannelBootstrap(connection.channel)
        .handler(new Http2ClientStreamHandler())
        .open()
        .addListener((Future<Http2StreamChannel> opened) -> {
          if (!opened.isSuccess()) {
            connection.streams--;
            promise.setFailure(unreachable(connection.key, opened.cause()));
            return;
          }
          Channel channel = opened.getNow();
          channel.closeFuture().addListener(_ -> connection.streams--);
          UpstreamStream stream = new UpstreamStream(this, connection, channel, reused);
          channel.pipeline().addLast(stream);
          promise.setSuccess(stream);
        });
  }

  /** An HTTP/1.1 connection that served its request. */
  void giveBack(UpstreamConnection connection) {
    Deque<UpstreamConnection> waiting =
        idle.computeIfAbsent(connection.key, _ -> new ArrayDeque<>());
    if (connection.retired || waiting.size() >= MAX_IDLE_PER_KEY) {
      connection.retire();
      return;
    }
    connection.idleSince = loop.ticker().nanoTime();
    waiting.addFirst(connection);
  }

  private void closeLongIdle() {
    long now = loop.ticker().nanoTime();
    List<UpstreamConnection> old = new ArrayList<>();
    idle.values()
        .forEach(waiting ->
            waiting.stream()
                .filter(c -> now - c.idleSince > TimeUnit.SECONDS.toNanos(IDLE_SECONDS))
                .forEach(old::add));
    old.forEach(UpstreamConnection::retire);
  }

  private Future<UpstreamConnection> connection(
      Slot slot, UpstreamConnection.Key key, boolean fresh) {
    Promise<UpstreamConnection> promise = loop.newPromise();
    resolution
        .resolve(key.host(), key.port())
        .addListener((Future<List<InetAddress>> resolved) -> {
          if (!resolved.isSuccess()) {
            promise.setFailure(resolved.cause());
            return;
          }
          List<InetAddress> addresses = resolved.getNow();
          Optional<UpstreamConnection> known = fresh ? Optional.empty() : pooled(key, addresses);
          if (known.isPresent()) {
            promise.setSuccess(known.get());
          } else {
            connect(slot, key, addresses, 0, promise);
          }
        });
    return promise;
  }

  private Optional<UpstreamConnection> pooled(
      UpstreamConnection.Key key, List<InetAddress> addresses) {
    Instant now = clock.instant();
    for (UpstreamConnection connection : shared.getOrDefault(key, List.of())) {
      if (usable(connection, addresses, now) && connection.streams < connection.maxStreams) {
        return Optional.of(connection);
      }
    }
    Deque<UpstreamConnection> waiting = idle.getOrDefault(key, new ArrayDeque<>());
    while (!waiting.isEmpty()) {
      UpstreamConnection connection = waiting.removeFirst();
      if (usable(connection, addresses, now)) {
        return Optional.of(connection);
      }
      connection.retire();
    }
    return Optional.empty();
  }

  private static boolean usable(
      UpstreamConnection connection, List<InetAddress> addresses, Instant now) {
    return connection.channel.isActive()
        && !connection.retired
        && addresses.contains(connection.address)
        && now.isBefore(connection.certificateEnd);
  }

  private void connect(
      Slot slot,
      UpstreamConnection.Key key,
      List<InetAddress> addresses,
      int which,
      Promise<UpstreamConnection> promise) {
    InetAddress address = addresses.get(which);
    dial(address, key.port())
        .addListener((ChannelFuture dialled) -> {
          if (dialled.isSuccess()) {
            established(slot, key, address, dialled.channel(), promise);
          } else if (which + 1 < Math.min(addresses.size(), MAX_ADDRESSES)) {
            connect(slot, key, addresses, which + 1, promise);
          } else {
            promise.setFailure(unreachable(key, dialled.cause()));
          }
        });
  }

  /** A plain connection, for {@code TcpRelay} too. */
  ChannelFuture dial(InetAddress address, int port) {
    return new Bootstrap()
        .group(loop)
        .channel(EpollSocketChannel.class)
        .option(ChannelOption.ALLOCATOR, allocator)
        .option(ChannelOption.TCP_NODELAY, true)
        .option(ChannelOption.SO_KEEPALIVE, true)
        .option(ChannelOption.CONNECT_TIMEOUT_MILLIS, (int) limits.connectTimeout().toMillis())
        .handler(new ChannelInboundHandlerAdapter())
        .connect(new InetSocketAddress(address, port));
  }

  private void established(
      Slot slot,
      UpstreamConnection.Key key,
      InetAddress address,
      Channel channel,
      Promise<UpstreamConnection> promise) {
    if (!key.tls()) {
      ready(slot, new UpstreamConnection(key, address, channel, false, Instant.MAX), promise);
      return;
    }
    SslHandler handler =
        tls.handler(allocator, key.host().value(), key.port(), limits.connectTimeout());
    channel.pipeline().addLast(handler, new ClosedByFailure());
    handler
        .handshakeFuture()
        .addListener(done -> {
          if (!done.isSuccess()) {
            channel.close();
            promise.tryFailure(handshake(key, done.cause()));
            return;
          }
          Instant end = UpstreamTlsFacts.certificateEnd(handler);
          boolean http2 = ApplicationProtocolNames.HTTP_2.equals(handler.applicationProtocol());
          ready(slot, new UpstreamConnection(key, address, channel, http2, end), promise);
        });
  }

  private void ready(
      Slot slot, UpstreamConnection connection, Promise<UpstreamConnection> promise) {
    Channel channel = connection.channel;
    if (!slot.add(connection)) {
      channel.close();
      promise.setFailure(
          new UpstreamException(EgressReason.EGRESS_REASON_NO_POLICY, "the sandbox is gone"));
      return;
    }
    channel
        .closeFuture()
        .addListener(_ -> {
          slot.remove(connection);
          connection.retired = true;
          idle.computeIfPresent(
              connection.key,
              (_, waiting) -> {
                waiting.remove(connection);
                return waiting.isEmpty() ? null : waiting;
              });
          shared.computeIfPresent(
              connection.key,
              (_, sharing) -> {
                sharing.remove(connection);
                return sharing.isEmpty() ? null : sharing;
              });
        });
    if (connection.http2) {
      Http2Connections.client(channel, connection, limits.headerBytes());
      shared.computeIfAbsent(connection.key, _ -> new ArrayList<>()).add(connection);
    } else {
      channel.pipeline().addLast(new Http1ClientHandler(limits.headerBytes()));
    }
    promise.setSuccess(connection);
  }

  private static UpstreamException unreachable(UpstreamConnection.Key key, Throwable why) {
    boolean timeout = why instanceof io.netty.channel.ConnectTimeoutException;
    return new UpstreamException(
        timeout
            ? EgressReason.EGRESS_REASON_UPSTREAM_TIMEOUT
            : EgressReason.EGRESS_REASON_UPSTREAM_UNREACHABLE,
        "%s:%d could not be reached".formatted(key.host(), key.port()));
  }

  private static UpstreamException handshake(UpstreamConnection.Key key, Throwable why) {
    boolean certificate =
        why instanceof SSLHandshakeException || why instanceof SSLPeerUnverifiedException;
    return new UpstreamException(
        certificate
            ? EgressReason.EGRESS_REASON_UPSTREAM_CERTIFICATE
            : EgressReason.EGRESS_REASON_UPSTREAM_UNREACHABLE,
        "no verified TLS connection to %s:%d".formatted(key.host(), key.port()));
  }

  /** What fails in TLS is told by the handshake's future, or by the end of the connection. */
  private static final class ClosedByFailure extends ChannelInboundHandlerAdapter {
    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
      ctx.close();
    }
  }
}
