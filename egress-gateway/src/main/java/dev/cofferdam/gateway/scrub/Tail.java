package dev.cofferdam.gateway.scrub;

import io.netty.buffer.ByteBuf;
import java.util.List;

/**
 * How much of an answer's end is kept back until more of it has come: what may be the beginning of
 * a value, of whatever value it is. A guest sees what is kept back. Were it what the value begins
 * with, and nothing else, a guest to which a server says its own words back would find the value a
 * byte at a time.
 *
 * @param kind of characters among which a value is looked for
 * @param most bytes that are kept back: no value of such a length is written in more
 */
record Tail(Kind kind, int most) {
  /** What the values consist of, which is not kept from a guest. */
  enum Kind {
    /** Characters of ASCII that can be seen: a blank or a control character is in none. */
    WORD,
    /** Those and blanks. */
    LINE,
    /** Any bytes. */
    ANY
  }

  private static final int FEWEST = 1 << 10;

  /**
   * A byte takes up to eight in an escape, base64's digits are a third more than bytes, and each
   * may be escaped.
   */
  private static final int LONGEST = 16;

  /** Of base64 that is broken into lines, in one line. */
  private static final int FEWEST_DIGITS = 16;

  static Tail of(List<SecretValue> values) {
    Kind kind = Kind.WORD;
    int longest = 1;
    for (SecretValue value : values) {
      longest = Math.max(longest, value.length());
      for (int i = 0; i < value.length(); i++) {
        Kind its = kind(value.at(i));
        kind = its.compareTo(kind) > 0 ? its : kind;
      }
    }
    // A power of two: how long the value is, is not to be seen to the byte.
    int most = Integer.highestOneBit(LONGEST * longest - 1) << 1;
    return new Tail(kind, Math.max(FEWEST, most));
  }

  private static Kind kind(int value) {
    return value > ' ' && value < 0x7f
        ? Kind.WORD
        : value == ' ' || value == '\t' ? Kind.LINE : Kind.ANY;
  }

  /**
   * Of what is kept back.
   *
   * @param chunk with which the text ends
   */
  int length(ByteBuf text, ByteBuf chunk) {
    // A buffer of one piece is read much faster than one of several.
    ByteBuf in = chunk.readableBytes() >= most ? chunk : text;
    return in.writerIndex() - start(in, in.readerIndex(), in.writerIndex());
  }

  private int start(ByteBuf text, int from, int end) {
    int floor = Math.max(from, end - most);
    int at = end;
    while (at > floor) {
      int before = text.getUnsignedByte(at - 1);
      if (kind(before).compareTo(kind) <= 0) {
        at--;
      } else {
        int broken = lineBreak(text, floor, at);
        if (broken == 0 || !digits(text, floor, at - broken)) {
          break;
        }
        at -= broken;
      }
    }
    return at;
  }

  /** The length of an end of a line that ends there, or 0. */
  private static int lineBreak(ByteBuf text, int floor, int end) {
    int last = text.getByte(end - 1);
    if (last != '\n') {
      return last == '\r' ? 1 : 0;
    }
    if (end - 2 >= floor && text.getByte(end - 2) == '\r') {
      return 2;
    }
    boolean escaped =
        end - 3 >= floor && text.getByte(end - 3) == '\\' && text.getByte(end - 2) == 'r';
    return escaped ? 3 : 1;
  }

  /** Whether base64 may go on behind an end of a line that begins there. */
  private static boolean digits(ByteBuf text, int floor, int end) {
    if (end - FEWEST_DIGITS < floor) {
      return false;
    }
    for (int at = end - FEWEST_DIGITS; at < end; at++) {
      int digit = text.getByte(at);
      boolean base64 =
          (digit >= '0' && digit <= '9')
              || (digit >= 'A' && digit <= 'Z')
              || (digit >= 'a' && digit <= 'z')
              || "+/-_".indexOf(digit) >= 0;
      if (!base64) {
        return false;
      }
    }
    return true;
  }
}
