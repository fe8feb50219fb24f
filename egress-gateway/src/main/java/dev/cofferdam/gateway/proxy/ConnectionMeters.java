package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.event.Faults;
import dev.cofferdam.kit.metrics.Times;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import io.netty.channel.Channel;
import java.util.EnumMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** The meters of connections to upstreams, and of TLS on either side. Safe for several threads. */
public final class ConnectionMeters {
  /** On which side TLS begins. */
  enum Side {
    /** From a guest. */
    IN,
    /** To an upstream. */
    OUT
  }

  private final AtomicInteger open = new AtomicInteger();
  private final Map<Side, Handshakes> handshakes = new EnumMap<>(Side.class);

  private record Handshakes(Timer done, Timer failed) {}

  private final Faults faults;

  public ConnectionMeters(MeterRegistry meters, Faults faults) {
    this.faults = faults;
    Gauge.builder("cofferdam.gateway.upstream.connections", open, AtomicInteger::get)
        .description("Open connections to upstreams, or to the operator's proxy in their place")
        .register(meters);
    for (Side side : Side.values()) {
      handshakes.put(
          side,
          new Handshakes(handshakes(side, "done", meters), handshakes(side, "failed", meters)));
    }
  }

  private static Timer handshakes(Side side, String outcome, MeterRegistry meters) {
    return Times.histogram(
            "cofferdam.gateway.handshakes",
            "TLS handshakes with guests (in) and upstreams (out), to their end")
        .tag("direction", side == Side.IN ? "in" : "out")
        .tag("outcome", outcome)
        .register(meters);
  }

  /** A connection to an upstream was made. */
  void opened(Channel upstream) {
    open.incrementAndGet();
    faults.watch(upstream, Faults.Side.UPSTREAM);
    upstream.closeFuture().addListener(_ -> open.decrementAndGet());
  }

  /**
   * @param began {@link System#nanoTime}
   */
  void handshake(Side side, long began, boolean done) {
    Handshakes of = handshakes.get(side);
    if (of != null) {
      (done ? of.done() : of.failed()).record(System.nanoTime() - began, TimeUnit.NANOSECONDS);
    }
  }
}
