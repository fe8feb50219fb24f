package dev.cofferdam.kit.egress;

/** A text in which {@code *} stands for any characters. */
record Glob(String text) {
  boolean matches(String value) {
    return matches(
        text.length(),
        value.length(),
        i -> text.charAt(i) == '*',
        (i, j) -> text.charAt(i) == value.charAt(j));
  }

  /** Whether an element of a pattern is the one that stands for any number of elements. */
  @FunctionalInterface
  interface Star {
    boolean at(int index);
  }

  /** Whether an element of the pattern stands for one of the values. */
  @FunctionalInterface
  interface Same {
    boolean at(int pattern, int value);
  }

  /**
   * Of two lists, the first with stars. Only the last star is ever gone back to, which is enough
   * and keeps this at the product of both lengths.
   */
  static boolean matches(int patterns, int values, Star star, Same same) {
    int p = 0;
    int v = 0;
    int lastStar = -1;
    int resume = 0;
    while (v < values) {
      if (p < patterns && star.at(p)) {
        lastStar = p++;
        resume = v;
      } else if (p < patterns && same.at(p, v)) {
        p++;
        v++;
      } else if (lastStar >= 0) {
        p = lastStar + 1;
        v = ++resume;
      } else {
        return false;
      }
    }
    while (p < patterns && star.at(p)) {
      p++;
    }
    return p == patterns;
  }
}
