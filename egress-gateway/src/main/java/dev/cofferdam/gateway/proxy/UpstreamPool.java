package dev.cofferdam.gateway.proxy;

import io.netty.channel.EventLoop;
import java.net.InetAddress;
import java.time.InstantSource;
import java.util.ArrayDeque;
import java.util.Collection;
import java.util.Comparator;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/**
 * Connections to upstreams that may serve a request: in HTTP/1.1 those that serve none now, in
 * HTTP/2 all. What is idle for long is closed. Bound to one event loop.
 */
final class UpstreamPool {
  static final long IDLE_SECONDS = 30;
  static final long SWEEP_SECONDS = 5;

  /** Idle ones to the same upstream; those beyond are closed at once. */
  static final int MAX_IDLE_PER_KEY = 16;

  private final EventLoop loop;
  private final InstantSource clock;
  private final Map<UpstreamConnection.Key, Deque<UpstreamConnection>> byKey = new HashMap<>();

  UpstreamPool(EventLoop loop, InstantSource clock) {
    this.loop = loop;
    this.clock = clock;
    loop.scheduleWithFixedDelay(
        this::closeLongIdle, SWEEP_SECONDS, SWEEP_SECONDS, TimeUnit.SECONDS);
  }

  /** One that goes to one of the addresses. In HTTP/1.1 it is no longer here. */
  Optional<UpstreamConnection> take(UpstreamConnection.Key key, List<InetAddress> addresses) {
    for (UpstreamConnection connection : List.copyOf(byKey.getOrDefault(key, new ArrayDeque<>()))) {
      boolean usable = usable(connection, addresses);
      if (!connection.http2) {
        remove(connection);
        if (!usable) {
          connection.retire();
        }
      }
      if (usable && connection.streams < connection.maxStreams) {
        return Optional.of(connection);
      }
    }
    return Optional.empty();
  }

  /** One of HTTP/2 that takes a WebSocket as a stream. */
  Optional<UpstreamConnection> takingSockets(
      UpstreamConnection.Key key, List<InetAddress> addresses) {
    return byKey.getOrDefault(key, new ArrayDeque<>()).stream()
        .filter(connection -> connection.http2 && connection.extendedConnect)
        .filter(connection -> connection.streams < connection.maxStreams)
        .filter(connection -> usable(connection, addresses))
        .findFirst();
  }

  private boolean usable(UpstreamConnection connection, List<InetAddress> addresses) {
    return connection.channel.isActive()
        && !connection.retired
        && addresses.contains(connection.address)
        && clock.instant().isBefore(connection.certificateEnd);
  }

  /** An HTTP/2 connection is there for all from now on. */
  void share(UpstreamConnection connection) {
    connection.idleSince = loop.ticker().nanoTime();
    of(connection.key).addFirst(connection);
  }

  /** Something that it served is over: of HTTP/1.1 its one request, of HTTP/2 a stream. */
  void giveBack(UpstreamConnection connection) {
    connection.idleSince = loop.ticker().nanoTime();
    if (connection.retired) {
      retireIfIdle(connection);
      return;
    }
    if (!connection.http2) {
      of(connection.key).addFirst(connection);
    }
    long idle = of(connection.key).stream().filter(UpstreamPool::available).count();
    if (idle > MAX_IDLE_PER_KEY) {
      retireIfIdle(connection);
    }
  }

  private static void retireIfIdle(UpstreamConnection connection) {
    if (connection.idle()) {
      connection.retire();
    }
  }

  private Deque<UpstreamConnection> of(UpstreamConnection.Key key) {
    return byKey.computeIfAbsent(key, _ -> new ArrayDeque<>());
  }

  void remove(UpstreamConnection connection) {
    byKey.computeIfPresent(
        connection.key,
        (_, there) -> {
          there.remove(connection);
          return there.isEmpty() ? null : there;
        });
  }

  /**
   * Closes what the key's sandbox has not used for the longest time, to whatever upstream.
   *
   * @return whether there was any
   */
  boolean closeOneOfSandbox(UpstreamConnection.Key key) {
    Optional<UpstreamConnection> oldest =
        idle()
            .filter(connection -> connection.key.sameSandbox(key))
            .min(Comparator.comparingLong(connection -> connection.idleSince));
    oldest.ifPresent(UpstreamConnection::retire);
    return oldest.isPresent();
  }

  private Stream<UpstreamConnection> idle() {
    return byKey.values().stream().flatMap(Collection::stream).filter(UpstreamPool::available);
  }

  private static boolean available(UpstreamConnection connection) {
    return connection.idle() && !connection.retired;
  }

  private void closeLongIdle() {
    long now = loop.ticker().nanoTime();
    idle()
        .filter(connection -> now - connection.idleSince > TimeUnit.SECONDS.toNanos(IDLE_SECONDS))
        .toList()
        .forEach(UpstreamConnection::retire);
  }
}
