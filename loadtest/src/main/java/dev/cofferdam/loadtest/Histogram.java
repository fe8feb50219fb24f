package dev.cofferdam.loadtest;

import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What a service's histogram of times gained in a while.
 *
 * @param seconds of all together
 * @param upTo how many took at most so many seconds, by the bounds of its buckets
 */
record Histogram(double count, double seconds, NavigableMap<Double, Double> upTo) {
  private static final Pattern BUCKET =
      Pattern.compile("_bucket\\{(?<labels>.*),?le=\"(?<bound>[^\"]+)\".*}");

  /**
   * @param name as Prometheus has it, without suffix
   * @param label one of its labels with its value, as it is written
   */
  static Histogram gained(
      Map<String, Double> before, Map<String, Double> after, String name, String label) {
    NavigableMap<Double, Double> upTo = new TreeMap<>();
    double count = 0;
    double seconds = 0;
    for (Map.Entry<String, Double> series : after.entrySet()) {
      String key = series.getKey();
      if (!key.startsWith(name + "_") || !key.contains(label)) {
        continue;
      }
      double gained = series.getValue() - before.getOrDefault(key, 0.0);
      String rest = key.substring(name.length());
      Matcher bucket = BUCKET.matcher(rest);
      if (rest.startsWith("_count")) {
        count += gained;
      } else if (rest.startsWith("_sum")) {
        seconds += gained;
      } else if (bucket.matches()) {
        String bound = bucket.group("bound");
        upTo.merge(
            bound.equals("+Inf") ? Double.POSITIVE_INFINITY : Double.parseDouble(bound),
            gained,
            Double::sum);
      }
    }
    return new Histogram(count, seconds, upTo);
  }

  Histogram plus(Histogram other) {
    NavigableMap<Double, Double> sum = new TreeMap<>(upTo);
    other.upTo.forEach((bound, n) -> sum.merge(bound, n, Double::sum));
    return new Histogram(count + other.count, seconds + other.seconds, sum);
  }

  /** Of one, in milliseconds. */
  double mean() {
    return count == 0 ? 0 : seconds * 1000 / count;
  }

  /** The bound, in milliseconds, of the first bucket that holds so large a share. */
  double within(double share) {
    return 1000
        * upTo.entrySet().stream()
            .filter(bucket -> bucket.getValue() >= share * count)
            .mapToDouble(Map.Entry::getKey)
            .findFirst()
            .orElse(Double.POSITIVE_INFINITY);
  }
}
