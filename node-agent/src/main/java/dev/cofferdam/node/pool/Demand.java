package dev.cofferdam.node.pool;

import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;

/**
 * How much of each template was asked for lately: every claim counts one, and half of it after each
 * half-life. Not safe for use by several threads.
 */
final class Demand {
  /** A burst is forgotten after a few minutes, a claim a minute keeps more than one ready. */
  private static final double HALF_LIFE_NANOS = Duration.ofSeconds(60).toNanos();

  private record Level(double value, long at) {}

  private final Map<String, Level> levels = new HashMap<>();

  /** What is not among these is forgotten. */
  void keep(Set<String> templates) {
    levels.keySet().retainAll(templates);
  }

  void claimed(String template, long now) {
    levels.put(template, new Level(of(template, now) + 1, now));
  }

  double of(String template, long now) {
    Level level = levels.get(template);
    return level == null ? 0 : level.value() * Math.pow(0.5, (now - level.at()) / HALF_LIFE_NANOS);
  }
}
