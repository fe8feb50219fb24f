package dev.cofferdam.scheduler.sandbox;

/** Texts of others, made fit for our own messages and records. */
public final class Texts {
  private static final int QUOTED = 64;
  private static final int MESSAGE = 500;
  private static final int REPORT = 1500;

  private Texts() {}

  /**
   * In quotes, cut and without control characters: a message travels in a header, which is bounded.
   */
  public static String quoted(String text) {
    return "'" + cut(text, QUOTED) + "'";
  }

  /** At most 500 characters without control characters, which PostgreSQL would partly refuse. */
  public static String message(String text) {
    return cut(text, MESSAGE);
  }

  /** As {@link #message}, with the end of some output in it: at most 1,500 characters. */
  public static String report(String text) {
    return cut(text, REPORT);
  }

  private static String cut(String text, int max) {
    StringBuilder result = new StringBuilder();
    text.codePoints()
        .limit(max)
        .forEach(c -> result.appendCodePoint(Character.isISOControl(c) ? '?' : c));
    return text.codePointCount(0, text.length()) > max ? result + "…" : result.toString();
  }
}
