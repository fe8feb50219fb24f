package dev.cofferdam.node.pool;

import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/** What the pool counts. */
public final class PoolMetrics {
  /** What a claim found. */
  enum Found {
    RESTORED,
    WAITING,
    NOTHING
  }

  private final MeterRegistry meters;

  public PoolMetrics(MeterRegistry meters) {
    this.meters = meters;
    for (Found found : Found.values()) {
      claims(found);
    }
    for (PoolPlan.Reason reason : PoolPlan.Reason.values()) {
      dropped(tag(reason));
    }
    dropped("failed");
  }

  void depth(String stage, Supplier<Number> depth) {
    Gauge.builder("cofferdam.node.pool.depth", depth)
        .description("Machines made ahead, by how far they are")
        .tag("stage", stage)
        .register(meters);
  }

  void missing(Supplier<Number> missing) {
    Gauge.builder("cofferdam.node.pool.missing", missing)
        .description("Machines that are to be made ahead and are not yet")
        .register(meters);
  }

  void claimed(Found found) {
    claims(found).increment();
  }

  void dropped(PoolPlan.Reason reason) {
    dropped(tag(reason)).increment();
  }

  /** Of what ended by itself or could not be made. */
  void failed() {
    dropped("failed").increment();
  }

  void made(String stage, long nanos) {
    Timer.builder("cofferdam.node.pool.fill")
        .description("Time to make one ahead, by what it became")
        .tag("stage", stage)
        .publishPercentileHistogram()
        .register(meters)
        .record(nanos, TimeUnit.NANOSECONDS);
  }

  private Counter claims(Found found) {
    return Counter.builder("cofferdam.node.pool.claims")
        .description("Starts by what the pool had for them")
        .tag("found", found.name().toLowerCase(Locale.ROOT))
        .register(meters);
  }

  private Counter dropped(String why) {
    return Counter.builder("cofferdam.node.pool.dropped")
        .description("Machines of the pool that were given up")
        .tag("why", why)
        .register(meters);
  }

  private static String tag(PoolPlan.Reason reason) {
    return reason.name().toLowerCase(Locale.ROOT);
  }
}
