package dev.cofferdam.gateway.data;

import java.nio.charset.StandardCharsets;

/**
 * Bytes in which is searched, as one of their readings: the first {@code length}, not to be
 * changed.
 */
class Text {
  private final byte[] bytes;
  private final int length;

  Text(byte[] bytes, int length) {
    this.bytes = bytes;
    this.length = length;
  }

  byte[] bytes() {
    return bytes;
  }

  int length() {
    return length;
  }

  /** Negative where the text has ended, or has not begun. */
  int at(int index) {
    return index < 0 || index >= length ? -1 : bytes[index] & 0xff;
  }

  String part(int from, int to) {
    return new String(bytes, from, to - from, StandardCharsets.ISO_8859_1);
  }

  static boolean digit(int c) {
    return c >= '0' && c <= '9';
  }

  static boolean upper(int c) {
    return c >= 'A' && c <= 'Z';
  }

  static boolean alphanumeric(int c) {
    return digit(c) || upper(c) || (c >= 'a' && c <= 'z');
  }
}
