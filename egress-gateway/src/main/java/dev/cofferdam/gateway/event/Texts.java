package dev.cofferdam.gateway.event;

import dev.cofferdam.v1.AuditEvent;
import java.util.regex.Pattern;

/**
 * Makes what a guest wrote fit to be kept: of bounded length, without the control characters that a
 * database refuses (an event that is refused would block all behind it), and without placeholders,
 * which are kept nowhere but as hashes.
 */
final class Texts {
  private static final int MAX_NAME = 253;
  private static final int MAX_PATH = 2048;
  private static final int MAX_MESSAGE = 512;

  private static final Pattern PLACEHOLDER =
      Pattern.compile("cofferdam(_|%(25)*5f)[0-9a-z]{43}", Pattern.CASE_INSENSITIVE);

  private static final Pattern UNPRINTABLE = Pattern.compile("[^\\x20-\\x7e\\xa0-\\xff]");

  private Texts() {}

  static void clean(AuditEvent.Builder event) {
    event
        .setHost(clean(event.getHost(), MAX_NAME))
        .setPath(clean(event.getPath(), MAX_PATH))
        .setMethod(clean(event.getMethod(), MAX_NAME))
        .setMessage(clean(event.getMessage(), MAX_MESSAGE));
  }

  /** Whether it is printable and names nothing of ours, as nearly every text is. */
  private static boolean unsuspicious(String text) {
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c < 0x20
          || c > 0x7e
          || ((c == 'c' || c == 'C') && text.regionMatches(true, i, "cofferdam", 0, 9))) {
        return false;
      }
    }
    return true;
  }

  private static String clean(String text, int most) {
    if (text.length() <= most && unsuspicious(text)) {
      return text;
    }
    String whole = PLACEHOLDER.matcher(text).replaceAll("[placeholder]");
    String bounded = whole.length() > most ? whole.substring(0, most) : whole;
    return UNPRINTABLE.matcher(bounded).replaceAll("?");
  }
}
