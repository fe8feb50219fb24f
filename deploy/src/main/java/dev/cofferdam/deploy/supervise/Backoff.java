package dev.cofferdam.deploy.supervise;

import java.time.Duration;

/**
 * How long to wait before a process that ended is started again: doubling from {@code first} to
 * {@code longest}, and back to {@code first} once a run lasted {@code steady}.
 */
public record Backoff(Duration first, Duration longest, Duration steady) {
  public static final Backoff STANDARD =
      new Backoff(Duration.ofMillis(200), Duration.ofSeconds(5), Duration.ofSeconds(20));

  public Backoff {
    if (first.isNegative() || first.isZero() || longest.compareTo(first) < 0) {
      throw new IllegalArgumentException(
          "backoff from %s to %s, expected a rising range above zero".formatted(first, longest));
    }
  }

  /**
   * The wait after a run.
   *
   * @param previous the wait before that run, zero for the first
   * @param lasted how long the run lasted
   */
  public Duration after(Duration previous, Duration lasted) {
    if (previous.isZero() || lasted.compareTo(steady) >= 0) {
      return first;
    }
    Duration doubled = previous.multipliedBy(2);
    return doubled.compareTo(longest) > 0 ? longest : doubled;
  }
}
