package dev.cofferdam.gateway.placeholder;

/** Percent-encoding, RFC 3986 section 2.1. One character stands for one byte. */
final class Percent {
  private Percent() {}

  /** What is no escape stays as it is. */
  static String decode(String text) {
    if (text.indexOf('%') < 0) {
      return text;
    }
    StringBuilder decoded = new StringBuilder();
    for (int i = 0; i < text.length(); i++) {
      int value = text.charAt(i) == '%' ? escape(text, i) : -1;
      decoded.append(value < 0 ? text.charAt(i) : (char) value);
      i += value < 0 ? 0 : 2;
    }
    return decoded.toString();
  }

  /** Whether every percent sign begins an escape and all else is visible ASCII. */
  static boolean proper(String text) {
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c <= 0x20 || c >= 0x7f || (c == '%' && escape(text, i) < 0)) {
        return false;
      }
    }
    return true;
  }

  private static int escape(String text, int at) {
    if (at + 2 >= text.length()) {
      return -1;
    }
    int high = digit(text.charAt(at + 1));
    int low = digit(text.charAt(at + 2));
    return high < 0 || low < 0 ? -1 : high << 4 | low;
  }

  /** Without the digits of other scripts, which {@link Character#digit} knows. */
  private static int digit(char c) {
    return c < 0x80 ? Character.digit(c, 16) : -1;
  }
}
