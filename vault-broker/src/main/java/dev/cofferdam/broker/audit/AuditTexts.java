package dev.cofferdam.broker.audit;

import com.google.protobuf.Timestamp;
import java.time.Instant;

/** What goes into an event as text and time. */
public final class AuditTexts {
  private AuditTexts() {}

  /**
   * Text from outside: one line, of bounded length. A NUL or half a surrogate pair would make the
   * database refuse the row, and with it the whole record of a use.
   */
  public static String line(String text, int limit) {
    if (text.length() <= limit && fit(text)) {
      return text;
    }
    StringBuilder line = new StringBuilder(Math.min(text.length(), limit));
    text.codePoints()
        .limit(limit)
        .forEach(c ->
            line.appendCodePoint(
                Character.isISOControl(c) || (c >= 0xd800 && c <= 0xdfff) ? '?' : c));
    return line.toString();
  }

  /** Whether it can stay as it is, as nearly every text can. */
  private static boolean fit(String text) {
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (Character.isISOControl(c) || Character.isSurrogate(c)) {
        return false;
      }
    }
    return true;
  }

  /** A path without its query and fragment, whatever its reporter left on it. */
  public static String path(String text) {
    int end = text.length();
    for (char mark : new char[] {'?', '#'}) {
      int at = text.indexOf(mark);
      end = at < 0 ? end : Math.min(end, at);
    }
    return line(text.substring(0, end), 2048);
  }

  public static Instant instant(Timestamp time) {
    return Instant.ofEpochSecond(time.getSeconds(), time.getNanos());
  }

  public static Timestamp timestamp(Instant instant) {
    return Timestamp.newBuilder()
        .setSeconds(instant.getEpochSecond())
        .setNanos(instant.getNano())
        .build();
  }
}
