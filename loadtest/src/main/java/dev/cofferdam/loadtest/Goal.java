package dev.cofferdam.loadtest;

import java.util.Locale;

/** What a number is held to. */
record Goal(boolean atLeast, double bound) {
  static Goal atLeast(double bound) {
    return new Goal(true, bound);
  }

  static Goal atMost(double bound) {
    return new Goal(false, bound);
  }

  boolean reachedBy(double value) {
    return atLeast ? value >= bound : value <= bound;
  }

  /** The goal and whether the value reaches it. */
  String of(double value) {
    return String.format(
        Locale.ROOT,
        "goal: at %s %s, %s",
        atLeast ? "least" : "most",
        bound == Math.rint(bound) ? String.valueOf((long) bound) : String.valueOf(bound),
        reachedBy(value) ? "reached" : "missed");
  }
}
