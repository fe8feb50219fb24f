package dev.cofferdam.gateway.placeholder;

import dev.cofferdam.gateway.scrub.SecretValue;

/**
 * How bytes are written in a part of a request, so that they are read there as themselves. Every
 * byte by itself, and each of those that a format gives a meaning to in the longest of its forms.
 */
public enum Escape {
  /** As they are. */
  NONE,
  /** RFC 3986 section 2.1, of all but unreserved characters: a parameter of a query or a form. */
  PERCENT,
  /** The same, but for what a segment may hold (section 3.3); without {@code ;}, which some cut. */
  SEGMENT,
  /** RFC 8259 section 7: the inside of a string, of UTF-8. */
  JSON,
  /** As they are, of UTF-8: what consists of it (RFC 6455 section 8.1) ends at anything else. */
  TEXT;

  private static final String UNRESERVED = "-._~";
  private static final String SEGMENT_TOO = "!$&'()*+,=:@";
  private static final String DIGITS = "0123456789ABCDEF";

  /** How a byte is written. Constant texts: what is written of a secret is on no heap. */
  int length(int value) {
    return switch (this) {
      case NONE, TEXT -> 1;
      case PERCENT, SEGMENT -> literal(value) ? 1 : 3;
      case JSON -> value == '"' || value == '\\' ? 2 : value < 0x20 ? 6 : 1;
    };
  }

  /**
   * @param index less than the {@link #length}
   */
  byte at(int value, int index) {
    if (length(value) == 1) {
      return (byte) value;
    }
    return (byte)
        switch (this) {
          case NONE, TEXT -> value;
          case PERCENT, SEGMENT ->
              index == 0 ? '%' : DIGITS.charAt(index == 1 ? value >> 4 : value & 15);
          case JSON ->
              switch (index) {
                case 0 -> '\\';
                case 1 -> value < 0x20 ? 'u' : value;
                case 2, 3 -> '0';
                default -> DIGITS.charAt(index == 4 ? value >> 4 : value & 15);
              };
        };
  }

  private boolean literal(int c) {
    return Candidates.isBase62(c)
        || UNRESERVED.indexOf(c) >= 0
        || (this == SEGMENT && SEGMENT_TOO.indexOf(c) >= 0);
  }

  /** Whether the bytes can be written at all: what is no UTF-8 is no text. */
  boolean writes(SecretValue value) {
    return (this != JSON && this != TEXT) || Utf8.valid(value);
  }

  /** The value as it is written, for the caller to close. */
  public SecretValue of(SecretValue value) {
    int length = 0;
    for (int i = 0; i < value.length(); i++) {
      length += length(value.at(i));
    }
    SecretValue written = new SecretValue(length);
    int at = 0;
    for (int i = 0; i < value.length(); i++) {
      int unit = value.at(i);
      for (int j = 0; j < length(unit); j++) {
        written.set(at++, at(unit, j));
      }
    }
    return written;
  }
}
