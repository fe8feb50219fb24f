package dev.cofferdam.node.pool;

import dev.cofferdam.node.template.TemplateOrder;
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

  /** Whose template it is: an id or a name would be a series for each template there ever was. */
  enum Kind {
    OPERATOR,
    TENANT;

    /**
     * @param name that the template is asked for by
     */
    static Kind of(String name) {
      return TemplateOrder.isId(name) ? TENANT : OPERATOR;
    }

    private String tag() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  private final MeterRegistry meters;

  public PoolMetrics(MeterRegistry meters) {
    this.meters = meters;
    for (Found found : Found.values()) {
      for (Kind kind : Kind.values()) {
        claims(found, kind);
      }
    }
    for (PoolPlan.Reason reason : PoolPlan.Reason.values()) {
      dropped(tag(reason));
    }
    dropped("failed");
  }

  void depth(String stage, Kind kind, Supplier<Number> depth) {
    Gauge.builder("cofferdam.node.pool.depth", depth)
        .description("Machines made ahead, by how far they are")
        .tag("stage", stage)
        .tag("kind", kind.tag())
        .register(meters);
  }

  void missing(Supplier<Number> missing) {
    Gauge.builder("cofferdam.node.pool.missing", missing)
        .description("Machines that are to be made ahead and are not yet")
        .register(meters);
  }

  void claimed(Found found, Kind kind) {
    claims(found, kind).increment();
  }

  void dropped(PoolPlan.Reason reason) {
    dropped(tag(reason)).increment();
  }

  /** Of what ended by itself or could not be made. */
  void failed() {
    dropped("failed").increment();
  }

  void made(String stage, Kind kind, long nanos) {
    Timer.builder("cofferdam.node.pool.fill")
        .description("Time to make one ahead, by what it became")
        .tag("stage", stage)
        .tag("kind", kind.tag())
        .publishPercentileHistogram()
        .register(meters)
        .record(nanos, TimeUnit.NANOSECONDS);
  }

  private Counter claims(Found found, Kind kind) {
    return Counter.builder("cofferdam.node.pool.claims")
        .description("Starts by what the pool had for them")
        .tag("found", found.name().toLowerCase(Locale.ROOT))
        .tag("kind", kind.tag())
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
