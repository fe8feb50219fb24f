package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.event.Faults;
import dev.cofferdam.gateway.http.Http1ClientHandler;
import dev.cofferdam.gateway.http.Http2ClientStreamHandler;
import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.gateway.slot.Slot;
import dev.cofferdam.gateway.slot.Tally;
import dev.cofferdam.gateway.tls.UpstreamTls;
import dev.cofferdam.kit.buffer.ZeroingAllocator;
import dev.cofferdam.v1.EgressReason;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.EventLoop;
import io.netty.handler.codec.http2.Http2StreamChannel;
import io.netty.handler.codec.http2.Http2StreamChannelBootstrap;
import io.netty.handler.ssl.ApplicationProtocolNames;
import io.netty.handler.ssl.SslHandler;
import io.netty.util.concurrent.Future;
import io.netty.util.concurrent.Promise;
import java.net.InetAddress;
import java.time.Instant;
import java.time.InstantSource;
import java.util.List;
import java.util.Optional;
import javax.net.ssl.SSLHandshakeException;
import javax.net.ssl.SSLPeerUnverifiedException;

/** Connects to upstreams and keeps connections that may serve again. Bound to one event loop. */
final class Upstreams {
  /** What sort of connection is wanted. */
  enum Kind {
    ANY,
    /** One that has not served before. */
    FRESH,
    /** A stream of one that takes WebSockets in HTTP/2, else one of HTTP/1.1 for this alone. */
    UPGRADE
  }

  private final EventLoop loop;
  private final UpstreamTls tls;
  private final Resolution resolution;
  private final Limits limits;
  private final Dialler dialler;
  private final ConnectionMeters meters;
  private final ZeroingAllocator allocator = new ZeroingAllocator();
  private final UpstreamPool pool;

  Upstreams(
      EventLoop loop,
      UpstreamTls tls,
      Resolution resolution,
      Limits limits,
      InstantSource clock,
      ConnectionMeters meters) {
    this.loop = loop;
    this.tls = tls;
    this.resolution = resolution;
    this.limits = limits;
    this.meters = meters;
    this.dialler = new Dialler(loop, allocator, resolution, tls, limits.connectTimeout(), meters);
    this.pool = new UpstreamPool(loop, clock);
  }

  Resolution resolution() {
    return resolution;
  }

  Dialler dialler() {
    return dialler;
  }

  /**
   * Makes sure of a connection over TLS and tells whether it speaks HTTP/2. Fails with {@link
   * UpstreamException}.
   *
   * @param http2 is spoken by the guest, and so offered to the upstream
   */
  Future<Boolean> protocol(Slot slot, Host.Name host, int port, boolean http2) {
    Promise<Boolean> promise = loop.newPromise();
    connection(slot, key(slot, host, port, true, http2), Kind.ANY)
        .addListener((Future<UpstreamConnection> done) -> {
          if (!done.isSuccess()) {
            promise.setFailure(done.cause());
            return;
          }
          UpstreamConnection connection = done.getNow();
          if (!connection.http2) {
            pool.giveBack(connection);
          }
          promise.setSuccess(connection.http2);
        });
    return promise;
  }

  /**
   * @param http2 is spoken by the guest: one that speaks HTTP/1.1 is spoken for in HTTP/1.1, which
   *     costs a fraction of a stream
   */
  Future<UpstreamStream> open(
      Slot slot, Host.Name host, int port, boolean overTls, boolean http2, Kind kind) {
    Promise<UpstreamStream> promise = loop.newPromise();
    connection(slot, key(slot, host, port, overTls, http2), kind)
        .addListener((Future<UpstreamConnection> done) -> {
          if (done.isSuccess()) {
            stream(done.getNow(), promise);
          } else {
            promise.setFailure(done.cause());
          }
        });
    return promise;
  }

  private static UpstreamConnection.Key key(
      Slot slot, Host.Name host, int port, boolean tls, boolean http2) {
    return new UpstreamConnection.Key(
        slot.attachment().tenant(), slot.attachment().sandbox(), host, port, tls, http2);
  }

  private void stream(UpstreamConnection connection, Promise<UpstreamStream> promise) {
    boolean reused = connection.used;
    connection.used = true;
    if (!connection.http2) {
      UpstreamStream stream = new UpstreamStream(pool, connection, connection.channel, reused);
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
            streamEnds(connection);
            promise.setFailure(
                Dialler.unreachable(connection.key.host(), connection.key.port(), opened.cause()));
            return;
          }
          Channel channel = opened.getNow();
          // Frames with a value in them are masked into buffers of the stream's own.
          channel.config().setAllocator(allocator);
          channel.closeFuture().addListener(_ -> streamEnds(connection));
          UpstreamStream stream = new UpstreamStream(pool, connection, channel, reused);
          channel.pipeline().addLast(stream);
          promise.setSuccess(stream);
        });
  }

  private void streamEnds(UpstreamConnection connection) {
    connection.streams--;
    pool.giveBack(connection);
  }

  private Future<UpstreamConnection> connection(Slot slot, UpstreamConnection.Key key, Kind kind) {
    Promise<UpstreamConnection> promise = loop.newPromise();
    resolution
        .resolve(key.host(), key.port())
        .addListener((Future<List<InetAddress>> resolved) -> {
          if (!resolved.isSuccess()) {
            promise.setFailure(resolved.cause());
            return;
          }
          List<InetAddress> addresses = resolved.getNow();
          Optional<UpstreamConnection> known =
              switch (kind) {
                case ANY -> pool.take(key, addresses);
                case UPGRADE -> pool.takingSockets(key, addresses);
                case FRESH -> Optional.empty();
              };
          if (known.isPresent()) {
            promise.setSuccess(known.get());
          } else {
            connect(slot, kind == Kind.UPGRADE ? key.inHttp1() : key, addresses, promise);
          }
        });
    return promise;
  }

  private void connect(
      Slot slot,
      UpstreamConnection.Key key,
      List<InetAddress> addresses,
      Promise<UpstreamConnection> promise) {
    // A request may have waited since it was judged, or be tried anew.
    if (!key.allowedBy(slot.attachment())) {
      promise.setFailure(forbidden(key));
      return;
    }
    Tally connections = slot.upstreamConnections();
    if (!connections.tryAdd(limits.connectionsPerSandbox())) {
      if (!pool.closeOneOfSandbox(key)) {
        promise.setFailure(
            new UpstreamException(
                EgressReason.EGRESS_REASON_TOO_MANY_AT_ONCE,
                "this sandbox has too many connections to upstreams"));
        return;
      }
      // In place of the one that goes.
      connections.add();
    }
    dialler
        .dial(key.host(), addresses, key.port())
        .addListener((Future<Dialler.Dialled> dialled) -> {
          if (dialled.isSuccess()) {
            dialled.getNow().channel().closeFuture().addListener(_ -> connections.remove());
            established(slot, key, dialled.getNow(), promise);
          } else {
            connections.remove();
            promise.setFailure(dialled.cause());
          }
        });
  }

  private void established(
      Slot slot,
      UpstreamConnection.Key key,
      Dialler.Dialled dialled,
      Promise<UpstreamConnection> promise) {
    InetAddress address = dialled.address();
    Channel channel = dialled.channel();
    if (!key.tls()) {
      ready(slot, new UpstreamConnection(key, address, channel, false, Instant.MAX), promise);
      return;
    }
    SslHandler handler =
        tls.handler(
            allocator, key.host().value(), key.port(), key.http2(), limits.connectTimeout());
    long began = System.nanoTime();
    channel.pipeline().addLast(handler, new ClosedByFailure());
    handler
        .handshakeFuture()
        .addListener(done -> {
          meters.handshake(ConnectionMeters.Side.OUT, began, done.isSuccess());
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
          pool.remove(connection);
        });
    // From here on a change of policy closes it; one that came while it was made did not.
    if (!connection.key.allowedBy(slot.attachment())) {
      connection.retire();
      promise.setFailure(forbidden(connection.key));
      return;
    }
    if (connection.http2) {
      Http2Connections.client(channel, connection, slot.wideConnections(), limits.headerBytes());
      pool.share(connection);
    } else {
      channel.pipeline().addLast(new Http1ClientHandler(limits.headerBytes()));
    }
    promise.setSuccess(connection);
  }

  private static UpstreamException forbidden(UpstreamConnection.Key key) {
    return new UpstreamException(
        EgressReason.EGRESS_REASON_HOST_NOT_ALLOWED,
        "the policy no longer allows %s:%d".formatted(key.host(), key.port()));
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
      Faults.close(ctx, cause);
    }
  }
}
