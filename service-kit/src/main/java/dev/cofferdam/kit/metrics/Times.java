package dev.cofferdam.kit.metrics;

import io.micrometer.core.instrument.Timer;
import java.time.Duration;
import java.util.stream.Stream;

/** Histograms of times, with the same few buckets each: so that series of services can be added. */
public final class Times {
  private static final Duration[] BUCKETS =
      Stream.of(1, 2, 5, 10, 20, 50, 100, 200, 300, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000)
          .map(Duration::ofMillis)
          .toArray(Duration[]::new);

  private static final Duration[] FINE =
      Stream.concat(
              Stream.of(50, 100, 200, 500).map(micros -> Duration.ofNanos(micros * 1000L)),
              Stream.of(BUCKETS))
          .toArray(Duration[]::new);

  private Times() {}

  /** As {@link #histogram}, of what mostly takes less than a millisecond. */
  public static Timer.Builder fineHistogram(String name, String description) {
    return Timer.builder(name).description(description).serviceLevelObjectives(FINE);
  }

  /**
   * @param name with dots and without unit: Prometheus gets underscores and {@code _seconds}
   * @param description for people
   */
  public static Timer.Builder histogram(String name, String description) {
    return Timer.builder(name).description(description).serviceLevelObjectives(BUCKETS);
  }
}
