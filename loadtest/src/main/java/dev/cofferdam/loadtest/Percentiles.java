package dev.cofferdam.loadtest;

import java.util.Arrays;
import java.util.Collection;
import java.util.Locale;

/**
 * A distribution of times in milliseconds. Percentiles are measured values, by nearest rank.
 *
 * @param count how many were measured, at least 1
 */
public record Percentiles(int count, double p50, double p90, double p99, double max) {
  private static final double NANOS_PER_MILLI = 1e6;

  public Percentiles {
    if (count < 1) {
      throw new IllegalArgumentException("count is " + count + ", expected at least 1");
    }
  }

  public static Percentiles ofNanos(Collection<Long> nanos) {
    return ofNanos(nanos.stream().mapToLong(Long::longValue).toArray());
  }

  public static Percentiles ofNanos(long[] nanos) {
    if (nanos.length == 0) {
      throw new IllegalArgumentException("nothing was measured");
    }
    long[] sorted = nanos.clone();
    Arrays.sort(sorted);
    return new Percentiles(
        sorted.length, at(sorted, 0.50), at(sorted, 0.90), at(sorted, 0.99), at(sorted, 1));
  }

  private static double at(long[] sorted, double quantile) {
    int rank = (int) Math.ceil(quantile * sorted.length);
    return sorted[Math.max(rank, 1) - 1] / NANOS_PER_MILLI;
  }

  /** The columns under {@link #HEADING}. */
  public String row(String name) {
    return String.format(
        Locale.ROOT, "%-34s %7d %9.2f %9.2f %9.2f %9.2f", name, count, p50, p90, p99, max);
  }

  public static final String HEADING =
      String.format(
          Locale.ROOT, "%-34s %7s %9s %9s %9s %9s", "ms", "count", "p50", "p90", "p99", "max");
}
