package dev.cofferdam.edge.secret;

import java.util.ArrayList;
import java.util.List;
import java.util.function.IntFunction;

/**
 * Takes the values out of a create's configuration before anything makes a {@code String} of it.
 *
 * <p>The configuration is Base64 (RFC 4648) of JSON (RFC 8259). Every string that is the value of a
 * member named {@code value}, at whatever depth, is decoded into a {@link HeldValue}, as UTF-8, and
 * stands as {@code ""} in the text that is left. This reader knows just enough of JSON to find
 * them; that the text is good JSON, and that each value stood where one may stand, is for whoever
 * parses it. What it cannot follow it refuses, so that it never takes less than a parser would see.
 *
 * <p>The JavaScript SDK encodes characters as Latin-1, the Python SDK escapes what is not ASCII: a
 * byte is a character in both.
 */
public final class ConfigReader {
  private static final String VALUE = "value";
  private static final int MAX_VALUES = 64;
  private static final int MAX_KEY = 65_536;

  private final HeldValue json;
  private final IntFunction<HeldValue> memory;
  private final StringBuilder text = new StringBuilder();
  private final List<HeldValue> values = new ArrayList<>();
  private int at;

  private ConfigReader(HeldValue json, IntFunction<HeldValue> memory) {
    this.json = json;
    this.memory = memory;
  }

  /**
   * @param base64 stays its owner's to close
   * @throws IllegalArgumentException saying nothing of the content
   */
  public static CarriedConfig read(HeldValue base64) {
    return read(base64, HeldValue::new);
  }

  /**
   * @param memory makes room for so many bytes
   */
  static CarriedConfig read(HeldValue base64, IntFunction<HeldValue> memory) {
    try (HeldValue json = decode(base64, memory)) {
      ConfigReader reader = new ConfigReader(json, memory);
      boolean whole = false;
      try {
        reader.scan();
        whole = true;
        return new CarriedConfig(reader.text.toString(), reader.values);
      } finally {
        if (!whole) {
          reader.values.forEach(HeldValue::close);
        }
      }
    }
  }

  private static HeldValue decode(HeldValue base64, IntFunction<HeldValue> memory) {
    HeldValue out = memory.apply(base64.length() / 4 * 3 + 3);
    boolean whole = false;
    try {
      int bits = 0;
      int count = 0;
      int length = base64.length();
      while (length > 0 && base64.at(length - 1) == '=') {
        length--;
      }
      for (int i = 0; i < length; i++) {
        bits = bits << 6 | digit(base64.at(i));
        count += 6;
        if (count >= 8) {
          count -= 8;
          out.append((byte) (bits >> count));
        }
      }
      whole = true;
      return out;
    } finally {
      if (!whole) {
        out.close();
      }
    }
  }

  private static int digit(byte character) {
    if (character >= 'A' && character <= 'Z') {
      return character - 'A';
    } else if (character >= 'a' && character <= 'z') {
      return character - 'a' + 26;
    } else if (character >= '0' && character <= '9') {
      return character - '0' + 52;
    } else if (character == '+') {
      return 62;
    } else if (character == '/') {
      return 63;
    }
    throw new IllegalArgumentException("the configuration is not Base64");
  }

  /**
   * Only strings are understood. A string is a member's name where a colon follows; after the name
   * {@code value} the next string is a value if nothing but blanks lies between.
   */
  private void scan() {
    boolean lastWasValueKey = false;
    while (at < json.length()) {
      char c = next();
      if (c == '"') {
        if (lastWasValueKey) {
          text.append("\"\"");
          values.add(value());
          lastWasValueKey = false;
        } else {
          int begin = text.append('"').length();
          String name = plainString(begin);
          lastWasValueKey = colonFollows() && name.equals(VALUE);
        }
      } else {
        text.append(c);
        if (!blank(c)) {
          lastWasValueKey = false;
        }
      }
    }
  }

  private boolean colonFollows() {
    while (at < json.length() && blank((char) json.at(at))) {
      text.append(next());
    }
    if (at < json.length() && json.at(at) == ':') {
      text.append(next());
      return true;
    }
    return false;
  }

  /** Copies a string as it is; answers what it says, escapes resolved. */
  private String plainString(int begin) {
    StringBuilder name = new StringBuilder();
    while (true) {
      int from = at;
      char c = next();
      if (c == '"') {
        copy(from);
        return name.toString();
      }
      name.append(c == '\\' ? escaped() : c);
      copy(from);
      if (text.length() - begin > MAX_KEY) {
        throw new IllegalArgumentException("the configuration has a text of over 64 Ki characters");
      }
    }
  }

  private void copy(int from) {
    for (int i = from; i < at; i++) {
      text.append((char) (json.at(i) & 0xff));
    }
  }

  private HeldValue value() {
    if (values.size() == MAX_VALUES) {
      throw new IllegalArgumentException("the configuration has over 64 values");
    }
    // No character becomes longer than what it was escaped as, but Latin-1 may double.
    HeldValue value = memory.apply(2 * endOfString());
    boolean whole = false;
    try {
      int high = 0;
      while (true) {
        char c = next();
        if (c == '"') {
          break;
        }
        int point = c == '\\' ? escaped() : c;
        if (high != 0) {
          if (!Character.isLowSurrogate((char) point)) {
            throw new IllegalArgumentException("a value has half a surrogate pair");
          }
          utf8(value, Character.toCodePoint((char) high, (char) point));
          high = 0;
        } else if (Character.isHighSurrogate((char) point)) {
          high = point;
        } else if (Character.isLowSurrogate((char) point)) {
          throw new IllegalArgumentException("a value has half a surrogate pair");
        } else {
          utf8(value, point);
        }
      }
      if (high != 0) {
        throw new IllegalArgumentException("a value has half a surrogate pair");
      }
      whole = true;
      return value;
    } finally {
      if (!whole) {
        value.close();
      }
    }
  }

  /** Bytes to the end of the string that begins here. */
  private int endOfString() {
    int i = at;
    while (i < json.length() && json.at(i) != '"') {
      i += json.at(i) == '\\' ? 2 : 1;
    }
    return i - at;
  }

  private static void utf8(HeldValue into, int point) {
    if (point < 0x80) {
      into.append((byte) point);
    } else if (point < 0x800) {
      into.append((byte) (0xc0 | (point >> 6)));
      into.append((byte) (0x80 | (point & 0x3f)));
    } else if (point < 0x10000) {
      into.append((byte) (0xe0 | (point >> 12)));
      into.append((byte) (0x80 | ((point >> 6) & 0x3f)));
      into.append((byte) (0x80 | (point & 0x3f)));
    } else {
      into.append((byte) (0xf0 | (point >> 18)));
      into.append((byte) (0x80 | ((point >> 12) & 0x3f)));
      into.append((byte) (0x80 | ((point >> 6) & 0x3f)));
      into.append((byte) (0x80 | (point & 0x3f)));
    }
  }

  private char escaped() {
    char c = next();
    return switch (c) {
      case '"', '\\', '/' -> c;
      case 'b' -> '\b';
      case 'f' -> '\f';
      case 'n' -> '\n';
      case 'r' -> '\r';
      case 't' -> '\t';
      case 'u' -> {
        int point = 0;
        for (int i = 0; i < 4; i++) {
          int digit = Character.digit(next(), 16);
          if (digit < 0) {
            throw new IllegalArgumentException("the configuration has a broken escape");
          }
          point = point << 4 | digit;
        }
        yield (char) point;
      }
      default -> throw new IllegalArgumentException("the configuration has a broken escape");
    };
  }

  private char next() {
    if (at >= json.length()) {
      throw new IllegalArgumentException("the configuration ends within a text");
    }
    return (char) (json.at(at++) & 0xff);
  }

  private static boolean blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
  }
}
