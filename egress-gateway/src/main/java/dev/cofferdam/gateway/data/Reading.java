package dev.cofferdam.gateway.data;

import java.util.Arrays;
import java.util.Optional;

/** Bytes with their escapes undone, and where in the bytes each of the text's came from. */
final class Reading {
  private static final int PERCENT = '%';

  private final Text text;

  /** One more than the text is long; empty where text and bytes are the same. */
  private final int[] starts;

  private Reading(Text text, int[] starts) {
    this.text = text;
    this.starts = starts;
  }

  Text text() {
    return text;
  }

  /** With other bytes, or fewer. */
  Reading with(Text other) {
    return new Reading(other, starts);
  }

  /** As they are. */
  static Reading plain(Text text) {
    return new Reading(text, new int[0]);
  }

  /** The place in the text of the first byte that came from there or behind. */
  int textFrom(int from) {
    if (starts.length == 0) {
      return from;
    }
    int found = Arrays.binarySearch(starts, 0, text.length() + 1, from);
    int at = found < 0 ? -1 - found : found;
    while (at > 0 && starts[at - 1] == from) {
      at--;
    }
    return Math.min(at, text.length());
  }

  int rawStart(int start) {
    return starts.length == 0 ? start : starts[start];
  }

  /** Behind the escape that the last byte came from. */
  int rawEnd(int end) {
    if (starts.length == 0) {
      return end;
    }
    int at = end;
    while (at < text.length() && starts[at] == starts[end - 1]) {
      at++;
    }
    return starts[at];
  }

  /**
   * RFC 3986 section 2.1; what is no escape stays.
   *
   * @param plus also stands for a blank
   * @return empty where there is nothing to undo
   */
  static Optional<Reading> percent(Text raw, boolean plus) {
    if (!has(raw, PERCENT) && !(plus && has(raw, '+'))) {
      return Optional.empty();
    }
    Builder builder = new Builder(raw.length());
    int at = 0;
    while (at < raw.length()) {
      int c = raw.at(at);
      if (c == PERCENT) {
        if (at + 2 >= raw.length() && hexOrEnd(raw, at + 1)) {
          // It may go on with what comes.
          break;
        }
        int value = hex(raw, at + 1, 2);
        builder.add(value < 0 ? c : value, at);
        at += value < 0 ? 1 : 3;
      } else {
        builder.add(plus && c == '+' ? ' ' : c, at++);
      }
    }
    return Optional.of(builder.build(at));
  }

  /** RFC 8259 section 7, wherever in the text. */
  static Optional<Reading> json(Text raw) {
    if (!has(raw, '\\')) {
      return Optional.empty();
    }
    Builder builder = new Builder(raw.length());
    int at = 0;
    while (at < raw.length()) {
      int c = raw.at(at);
      if (c != '\\') {
        builder.add(c, at++);
        continue;
      }
      int kind = raw.at(at + 1);
      if (kind < 0 || (kind == 'u' && at + 5 >= raw.length())) {
        break;
      }
      int value = kind == 'u' ? hex(raw, at + 2, 4) : -1;
      if (value >= 0) {
        builder.character(value, at);
        at += 6;
      } else {
        builder.add(simple(kind), at);
        at += 2;
      }
    }
    return Optional.of(builder.build(at));
  }

  private static int simple(int kind) {
    return switch (kind) {
      case 'n' -> '\n';
      case 'r' -> '\r';
      case 't' -> '\t';
      case 'b' -> '\b';
      case 'f' -> '\f';
      default -> kind;
    };
  }

  private static boolean has(Text text, int c) {
    for (int i = 0; i < text.length(); i++) {
      if (text.at(i) == c) {
        return true;
      }
    }
    return false;
  }

  private static boolean hexOrEnd(Text raw, int from) {
    return raw.at(from) < 0 || hex(raw, from, 1) >= 0;
  }

  /** Negative for something else. */
  private static int hex(Text raw, int from, int digits) {
    int value = 0;
    for (int i = 0; i < digits; i++) {
      int c = raw.at(from + i);
      int digit = c < 0 || c >= 0x80 ? -1 : Character.digit(c, 16);
      if (digit < 0) {
        return -1;
      }
      value = value << 4 | digit;
    }
    return value;
  }

  private static final class Builder {
    private byte[] bytes;
    private int[] starts;
    private int length;

    Builder(int most) {
      bytes = new byte[most];
      starts = new int[most + 1];
    }

    void add(int value, int at) {
      bytes[length] = (byte) value;
      starts[length++] = at;
    }

    /** In UTF-8; half of a pair as what is none, for no detector looks beyond. */
    void character(int c, int at) {
      if (c < 0x80) {
        add(c, at);
      } else if (c < 0x800) {
        add(0xc0 | c >> 6, at);
        add(0x80 | (c & 0x3f), at);
      } else {
        add(0xe0 | c >> 12, at);
        add(0x80 | (c >> 6 & 0x3f), at);
        add(0x80 | (c & 0x3f), at);
      }
    }

    Reading build(int end) {
      starts[length] = end;
      return new Reading(new Text(bytes, length), starts);
    }
  }
}
