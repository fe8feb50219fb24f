package dev.cofferdam.gateway.placeholder;

import dev.cofferdam.gateway.match.Needle;
import dev.cofferdam.gateway.match.Pattern;
import dev.cofferdam.gateway.match.StreamMatcher;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;

/**
 * The shape of a placeholder, {@code cofferdam_} and 43 characters of base62, in every form that
 * can be told from other text: plain, escaped, hexadecimal, base64 at any alignment.
 */
public final class Candidates {
  /** What a text held. */
  public record Found(String placeholder, boolean plain) {}

  static final String PREFIX = "cofferdam_";
  static final int LENGTH = PREFIX.length() + 43;

  private static final int PLAIN = 0;
  private static final int ESCAPED = 1;
  private static final int HEX = 2;
  private static final int BASE64 = 3;

  /** Shared: a matcher keeps no state. */
  static final StreamMatcher MATCHER;

  private static final List<Needle> NEEDLES;

  static {
    List<Needle> needles = new ArrayList<>();
    needles.add(new Needle(new Shape(), Needle.Form.EXACT));
    needles.add(new Needle(new Shape(), Needle.Form.ESCAPED));
    needles.add(new Needle(new HexShape(), Needle.Form.EXACT));
    for (int alignment = 0; alignment < 3; alignment++) {
      needles.add(new Needle(new Base64Shape(alignment), Needle.Form.FOLDED));
    }
    NEEDLES = List.copyOf(needles);
    MATCHER = new StreamMatcher(NEEDLES);
  }

  private Candidates() {}

  /** All in a text that is there as a whole. */
  public static List<Found> in(String text) {
    // Nearly every header is shorter than a placeholder.
    if (text.length() < LENGTH) {
      return List.of();
    }
    ByteBuf bytes = Unpooled.wrappedBuffer(text.getBytes(StandardCharsets.UTF_8));
    List<Found> found = new ArrayList<>();
    MATCHER.scan(
        bytes,
        0,
        bytes.writerIndex(),
        true,
        0,
        new StreamMatcher.Sink() {
          @Override
          public void clean(ByteBuf in, int from, int length) {}

          @Override
          public void found(int needle, ByteBuf in, int from, int length) {
            found.add(decode(needle, in, from, length));
          }
        });
    return found;
  }

  static Found decode(int needle, ByteBuf in, int from, int length) {
    ByteArrayOutputStream units = new ByteArrayOutputStream();
    NEEDLES.get(needle).decode(in, from, length, units::write);
    byte[] text = units.toByteArray();
    return switch (needle) {
      case PLAIN -> new Found(ascii(text), standsAlone(in, from, length));
      case ESCAPED -> new Found(ascii(text), false);
      case HEX -> new Found(ascii(fromHex(text)), false);
      default -> new Found(ascii(fromBase64(text, needle - BASE64)), false);
    };
  }

  /**
   * A letter or digit right before or behind makes it something else, which no value may be put
   * into.
   */
  private static boolean standsAlone(ByteBuf in, int from, int length) {
    int end = from + length;
    return (from == in.readerIndex() || !isBase62(in.getUnsignedByte(from - 1)))
        && (end >= in.writerIndex() || !isBase62(in.getUnsignedByte(end)));
  }

  /**
   * Whether a placeholder stands as itself in a text and no letter or digit follows, wherever it
   * does. In a path one may stand before it, as in {@code /bot<token>/}.
   */
  static boolean endsAlone(String text, String placeholder) {
    int at = text.indexOf(placeholder);
    boolean alone = at >= 0;
    for (; at >= 0; at = text.indexOf(placeholder, at + 1)) {
      int end = at + placeholder.length();
      alone &= end == text.length() || !isBase62(text.charAt(end));
    }
    return alone;
  }

  private static String ascii(byte[] bytes) {
    return new String(bytes, StandardCharsets.ISO_8859_1);
  }

  private static byte[] fromHex(byte[] digits) {
    byte[] bytes = new byte[digits.length / 2];
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] =
          (byte) (Character.digit(digits[2 * i], 16) * 16 + Character.digit(digits[2 * i + 1], 16));
    }
    return bytes;
  }

  private static byte[] fromBase64(byte[] digits, int alignment) {
    // 'A' stands for the bits of what came before; they are dropped again.
    String text =
        "A".repeat(Base64Shape.firstWholeDigit(alignment))
            + new String(digits, StandardCharsets.ISO_8859_1).replace('-', '+').replace('_', '/');
    byte[] bytes = Base64.getDecoder().decode(text);
    byte[] placeholder = new byte[LENGTH];
    System.arraycopy(bytes, alignment, placeholder, 0, Math.min(LENGTH, bytes.length - alignment));
    // The first byte shares a digit with what came before it.
    placeholder[0] = (byte) PREFIX.charAt(0);
    return placeholder;
  }

  static boolean isBase62(int c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
  }

  /** The prefix in any case: what differs in case is no placeholder of ours, but looks like one. */
  private static final class Shape implements Pattern {
    @Override
    public int length() {
      return LENGTH;
    }

    @Override
    public boolean accepts(int index, int value) {
      return index < PREFIX.length()
          ? value == PREFIX.charAt(index)
              || (value < 128 && Character.toLowerCase((char) value) == PREFIX.charAt(index))
          : isBase62(value);
    }
  }

  private static final class HexShape implements Pattern {
    private static final String DIGITS =
        HexFormat.of().formatHex(PREFIX.getBytes(StandardCharsets.US_ASCII));

    @Override
    public int length() {
      return 2 * LENGTH;
    }

    @Override
    public boolean accepts(int index, int value) {
      if (index < DIGITS.length()) {
        return value < 128 && Character.toLowerCase((char) value) == DIGITS.charAt(index);
      }
      return Character.digit(value, 16) >= 0 && (index % 2 == 1 || (value >= '3' && value <= '7'));
    }
  }

  private record Base64Shape(int alignment, String core) implements Pattern {
    Base64Shape(int alignment) {
      this(alignment, core(alignment));
    }

    static int firstWholeDigit(int alignment) {
      return (8 * alignment + 5) / 6;
    }

    /** The digits that the prefix alone decides. */
    private static String core(int alignment) {
      String padded = "\0".repeat(alignment) + PREFIX;
      String digits =
          Base64.getEncoder()
              .withoutPadding()
              .encodeToString(padded.getBytes(StandardCharsets.US_ASCII));
      return digits.substring(firstWholeDigit(alignment), 8 * padded.length() / 6);
    }

    @Override
    public int length() {
      return (8 * (alignment + LENGTH) + 5) / 6 - firstWholeDigit(alignment);
    }

    @Override
    public boolean accepts(int index, int value) {
      return index < core.length()
          ? value == core.charAt(index)
          : isBase62(value) || value == '+' || value == '/' || value == '-' || value == '_';
    }
  }
}
