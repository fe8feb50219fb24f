package dev.cofferdam.gateway.match;

import io.netty.buffer.ByteBuf;
import java.util.List;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;

/**
 * A pattern as it may stand in a text: each unit as itself or, where escapes are understood, as any
 * of the escapes that servers and clients use for it.
 *
 * <p>Understood: percent-encoding up to three times over, {@code +} for a blank, JSON's and
 * JavaScript's escapes, HTML's entities. An escape is preferred to its own characters, so a literal
 * run of a pattern that itself contains escapes needs a second needle without them. What is
 * understood here has to be told by {@link Writings}, or it is not found.
 */
public final class Needle {
  /** How the pattern may be written. */
  public enum Form {
    /** Byte for byte. */
    EXACT,
    /** With escapes. */
    ESCAPED,
    /**
     * With escapes, and broken into lines anywhere, as base64 often is. Empty lines are no part of
     * it: with any number of them a match could be of any length, and all of it would be kept.
     */
    FOLDED
  }

  /** No match starts here. */
  static final int NONE = 0;

  private static final int MAX_PERCENT_LAYERS = 3;
  private static final int MORE = -1;

  private final Pattern pattern;
  private final Form form;
  private final int percentLayers;

  public Needle(Pattern pattern, Form form) {
    this(pattern, form, 0);
  }

  /**
   * @param percentLayers how often over the text is percent-encoded, 1 to 3; 0 for any, even mixed,
   *     which is not well defined for a pattern that holds a percent sign
   */
  private Needle(Pattern pattern, Form form, int percentLayers) {
    this.pattern = pattern;
    this.form = form;
    this.percentLayers = percentLayers;
  }

  /** Enough needles to find the pattern in any escapes. */
  public static List<Needle> escaped(Pattern pattern) {
    boolean percent = false;
    for (int i = 0; i < pattern.length(); i++) {
      percent |= pattern.accepts(i, '%');
    }
    return percent
        ? IntStream.rangeClosed(1, MAX_PERCENT_LAYERS)
            .mapToObj(layers -> new Needle(pattern, Form.ESCAPED, layers))
            .toList()
        : List.of(new Needle(pattern, Form.ESCAPED));
  }

  boolean mayStart(int value) {
    return pattern.accepts(0, value)
        || (form != Form.EXACT
            && (value == '%' || value == '\\' || value == '&' || (value == '+' && blank(0))));
  }

  /**
   * Tries the pattern at one place.
   *
   * @return the number of bytes matched, {@link #NONE}, or {@code -1 - units} when the bytes ended
   *     after so many whole units
   */
  int match(ByteBuf in, int from, int end) {
    return walk(in, from, end, _ -> {});
  }

  /** The values of the units of a match, one call each. */
  public void decode(ByteBuf in, int from, int length, IntConsumer units) {
    walk(in, from, from + length, units);
  }

  /**
   * Tells which bytes may stand next to each other where a match begins.
   *
   * @return false where one may be too short to tell
   */
  boolean starts(Starts table) {
    if (pattern.length() <= Starts.STEP) {
      return false;
    }
    for (int index = 0; index <= Starts.STEP; index++) {
      for (int value = pattern.accepted(index, 0);
          value >= 0;
          value = pattern.accepted(index, value + 1)) {
        Writings unit = Writings.of(value, form);
        unit.within(index, table);
        if (index > 0) {
          follows(index, unit, table);
        }
      }
    }
    return true;
  }

  /** Tells what may stand where one unit ends and that one begins. */
  private void follows(int index, Writings unit, Starts table) {
    for (int value = pattern.accepted(index - 1, 0);
        value >= 0;
        value = pattern.accepted(index - 1, value + 1)) {
      Writings before = Writings.of(value, form);
      before.next(index - 1, unit, table);
      if (form == Form.FOLDED) {
        Writings.broken(index, before, unit, table);
      }
    }
  }

  private int walk(ByteBuf in, int from, int end, IntConsumer units) {
    int at = from;
    for (int index = 0; index < pattern.length(); index++) {
      if (form == Form.FOLDED && index > 0) {
        at += lineBreak(in, at, end);
      }
      if (at >= end) {
        return -1 - index;
      }
      int step = unit(in, at, end, index, units);
      if (step == NONE) {
        return NONE;
      }
      if (step == MORE) {
        return -1 - index;
      }
      at += step;
    }
    return at - from;
  }

  private int unit(ByteBuf in, int at, int end, int index, IntConsumer units) {
    int c = in.getUnsignedByte(at);
    int escape =
        form == Form.EXACT
            ? NONE
            : switch (c) {
              case '%' -> percent(in, at, end, index, units);
              case '\\' -> backslash(in, at, end, index, units);
              case '&' -> entity(in, at, end, index, units);
              case '+' -> blank(index) ? accepted(index, ' ', 1, units) : NONE;
              default -> NONE;
            };
    // An unfinished escape may also be its own characters; then what follows would have to match,
    // and that is seen once it is there.
    return escape != NONE ? escape : accepted(index, c, 1, units);
  }

  private int percent(ByteBuf in, int at, int end, int index, IntConsumer units) {
    int digits = at + 1;
    for (int layer = 1; layer <= MAX_PERCENT_LAYERS; layer++) {
      int value = hex(in, digits, end, 2);
      if (value < 0) {
        return value == MORE ? MORE : NONE;
      }
      if (layer < percentLayers) {
        if (layer == percentLayers - 1 && value == '+' && blank(index)) {
          return accepted(index, ' ', digits + 2 - at, units);
        }
        if (value != '%') {
          return NONE;
        }
        digits += 2;
        continue;
      }
      int step = accepted(index, value, digits + 2 - at, units);
      if (step == NONE && value == '+' && blank(index)) {
        // A form's blank, encoded once more.
        return accepted(index, ' ', digits + 2 - at, units);
      }
      if (step != NONE || value != '%' || layer == percentLayers) {
        return step;
      }
      digits += 2;
    }
    return NONE;
  }

  private int backslash(ByteBuf in, int at, int end, int index, IntConsumer units) {
    if (at + 1 >= end) {
      return MORE;
    }
    int c = in.getUnsignedByte(at + 1);
    return switch (c) {
      case 'u', 'x' -> {
        int digits = c == 'u' ? 4 : 2;
        int value = hex(in, at + 2, end, digits);
        yield value == MORE
            ? MORE
            : value < 0 || value > 255 ? NONE : accepted(index, value, 2 + digits, units);
      }
      case 't' -> accepted(index, '\t', 2, units);
      case 'b' -> accepted(index, '\b', 2, units);
      case 'f' -> accepted(index, '\f', 2, units);
      default -> accepted(index, c, 2, units);
    };
  }

  private int entity(ByteBuf in, int at, int end, int index, IntConsumer units) {
    int semicolon = at + 1;
    while (semicolon < end && semicolon - at <= 8 && in.getByte(semicolon) != ';') {
      int c = in.getUnsignedByte(semicolon);
      if (c != '#' && !Character.isLetterOrDigit(c)) {
        return NONE;
      }
      semicolon++;
    }
    if (semicolon - at > 8) {
      return NONE;
    }
    if (semicolon >= end) {
      return MORE;
    }
    StringBuilder name = new StringBuilder();
    for (int i = at + 1; i < semicolon; i++) {
      name.append((char) in.getUnsignedByte(i));
    }
    int value = Entities.value(name.toString());
    return value < 0 ? NONE : accepted(index, value, semicolon + 1 - at, units);
  }

  private int accepted(int index, int value, int step, IntConsumer units) {
    if (!pattern.accepts(index, value)) {
      return NONE;
    }
    units.accept(value);
    return step;
  }

  private boolean blank(int index) {
    return pattern.accepts(index, ' ');
  }

  /** The number, {@link #MORE}, or -2 for what is not hexadecimal. */
  private static int hex(ByteBuf in, int at, int end, int digits) {
    int value = 0;
    for (int i = 0; i < digits; i++) {
      if (at + i >= end) {
        return MORE;
      }
      int digit = Character.digit(in.getByte(at + i), 16);
      if (digit < 0) {
        return -2;
      }
      value = value * 16 + digit;
    }
    return value;
  }

  /** At most one end of a line: CR, LF or both, as they are or as JSON writes them. */
  private static int lineBreak(ByteBuf in, int at, int end) {
    int cr = control(in, at, end, '\r', 'r');
    return cr + control(in, at + cr, end, '\n', 'n');
  }

  private static int control(ByteBuf in, int at, int end, char itself, char escape) {
    if (at < end && in.getByte(at) == itself) {
      return 1;
    }
    return at + 1 < end && in.getByte(at) == '\\' && in.getByte(at + 1) == escape ? 2 : 0;
  }
}
