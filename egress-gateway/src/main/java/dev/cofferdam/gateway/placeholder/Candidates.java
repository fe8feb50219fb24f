package dev.cofferdam.gateway.placeholder;

import dev.cofferdam.gateway.match.Needle;
import dev.cofferdam.gateway.match.Pattern;
import dev.cofferdam.gateway.match.StreamMatcher;
import dev.cofferdam.kit.egress.PlaceholderForm;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.BitSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * What looks like a placeholder, whatever a secret's owner wants around it, in every form that can
 * be told from other text: plain, escaped, hexadecimal, base64 at any alignment. What is found is
 * its core ({@link PlaceholderForm}).
 */
public final class Candidates {
  /**
   * What a text held.
   *
   * @param placeholder its core, which of the usual form is all of it
   * @param plain it stands there as itself. Of the usual form that it stands alone, too; of another
   *     one only a grant knows what has to stand around it
   */
  public record Found(String placeholder, boolean plain) {}

  private static final int PLAIN = 0;
  private static final int ESCAPED = 1;
  private static final int HEX = 2;
  private static final int BASE64 = 3;
  private static final int NEEDLES_OF_A_FORM = 6;

  private static final List<PlaceholderForm> FORMS = List.of(PlaceholderForm.values());

  private static final int SHORTEST =
      FORMS.stream().mapToInt(PlaceholderForm::length).min().orElseThrow();

  /** Shared: a matcher keeps no state. */
  static final StreamMatcher MATCHER;

  static final List<Needle> NEEDLES;

  static {
    List<Needle> needles = new ArrayList<>();
    for (PlaceholderForm form : FORMS) {
      needles.add(new Needle(new Shape(form), Needle.Form.EXACT));
      needles.add(new Needle(new Shape(form), Needle.Form.ESCAPED));
      needles.add(new Needle(new HexShape(form), Needle.Form.EXACT));
      for (int alignment = 0; alignment < 3; alignment++) {
        needles.add(new Needle(new Base64Shape(form, alignment), Needle.Form.FOLDED));
      }
    }
    NEEDLES = List.copyOf(needles);
    MATCHER = StreamMatcher.lasting(NEEDLES);
  }

  private static final List<Shape> SHAPES = FORMS.stream().map(Shape::new).toList();

  /** What a placeholder may begin with. */
  private static final BitSet FIRST = new BitSet();

  static {
    SHAPES.forEach(
        shape -> IntStream.range(0, 256).filter(c -> shape.accepts(0, c)).forEach(FIRST::set));
  }

  private Candidates() {}

  /** All in a text that is there as a whole. */
  public static List<Found> in(String text) {
    // Nearly every header is shorter than a placeholder.
    if (text.length() < SHORTEST) {
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

  /**
   * A copy in which line ends stand where placeholders stand as themselves, with the letters and
   * digits behind them, so that nobody takes one for something else; empty where there is none.
   * What is none of this sandbox, or not in its place, is refused by whoever searches for
   * placeholders.
   */
  public static Optional<byte[]> masked(byte[] text, int length) {
    byte @Nullable [] masked = null;
    for (int at = 0; at < length; at++) {
      int end = placeholderEnd(text, at, length);
      if (end > at) {
        masked = masked == null ? Arrays.copyOf(text, length) : masked;
        Arrays.fill(masked, at, end, (byte) '\n');
        at = end - 1;
      }
    }
    return Optional.ofNullable(masked);
  }

  /** Negative for none. */
  private static int placeholderEnd(byte[] text, int at, int length) {
    if (!FIRST.get(text[at] & 0xff)) {
      return -1;
    }
    for (Shape shape : SHAPES) {
      if (shaped(shape, text, at, length) == shape.length()) {
        int end = at + shape.length();
        while (end < length && isBase62(text[end] & 0xff)) {
          end++;
        }
        return end;
      }
    }
    return -1;
  }

  /** How many bytes from there on could be those of a placeholder. */
  private static int shaped(Shape shape, byte[] text, int from, int length) {
    int count = 0;
    while (count < shape.length()
        && from + count < length
        && shape.accepts(count, text[from + count] & 0xff)) {
      count++;
    }
    return count;
  }

  static Found decode(int needle, ByteBuf in, int from, int length) {
    ByteArrayOutputStream units = new ByteArrayOutputStream();
    NEEDLES.get(needle).decode(in, from, length, units::write);
    byte[] text = units.toByteArray();
    PlaceholderForm form = FORMS.get(needle / NEEDLES_OF_A_FORM);
    int kind = needle % NEEDLES_OF_A_FORM;
    return switch (kind) {
      case PLAIN ->
          new Found(ascii(text), form != PlaceholderForm.USUAL || standsAlone(in, from, length));
      case ESCAPED -> new Found(ascii(text), false);
      case HEX -> new Found(ascii(fromHex(text)), false);
      default -> new Found(ascii(fromBase64(form, text, kind - BASE64)), false);
    };
  }

  /** The core of a placeholder; of the usual form it is that itself. */
  public static String core(String placeholder) {
    List<Found> found = in(placeholder);
    return found.isEmpty() ? placeholder : found.getFirst().placeholder();
  }

  /** Whether only a grant knows what has to stand around it. */
  static boolean shaped(String core) {
    return PlaceholderForm.of(core) != PlaceholderForm.USUAL;
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

  /**
   * Whether a core stands in a text only as part of its placeholder, with no letter or digit beside
   * that.
   *
   * @param within others may stand before it
   */
  static boolean standsAs(String text, String core, String whole, boolean within) {
    int cores = 0;
    for (int at = text.indexOf(core); at >= 0; at = text.indexOf(core, at + 1)) {
      cores++;
    }
    int before = whole.indexOf(core);
    int alone = 0;
    for (int at = text.indexOf(whole); at >= 0; at = text.indexOf(whole, at + 1)) {
      int end = at + whole.length();
      boolean free = within || at == 0 || !isBase62(text.charAt(at - 1));
      alone += free && (end == text.length() || !isBase62(text.charAt(end))) ? 1 : 0;
    }
    return before >= 0 && cores > 0 && cores == alone;
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

  private static byte[] fromBase64(PlaceholderForm form, byte[] digits, int alignment) {
    // 'A' stands for the bits of what came before; they are dropped again.
    String text =
        "A".repeat(Base64Shape.firstWholeDigit(alignment))
            + new String(digits, StandardCharsets.ISO_8859_1).replace('-', '+').replace('_', '/');
    byte[] bytes = Base64.getDecoder().decode(text);
    byte[] placeholder = new byte[form.length()];
    System.arraycopy(
        bytes, alignment, placeholder, 0, Math.min(form.length(), bytes.length - alignment));
    // The first byte shares a digit with what came before it.
    placeholder[0] = (byte) form.mark().charAt(0);
    return placeholder;
  }

  static boolean isBase62(int c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
  }

  private static boolean isTail(PlaceholderForm form, int c) {
    return form == PlaceholderForm.HEX ? c < 0x80 && Character.digit(c, 16) >= 0 : isBase62(c);
  }

  /** The mark in any case: what differs in case is no placeholder of ours, but looks like one. */
  private record Shape(PlaceholderForm form) implements Pattern {
    @Override
    public int length() {
      return form.length();
    }

    @Override
    public boolean accepts(int index, int value) {
      String mark = form.mark();
      return index < mark.length()
          ? value == mark.charAt(index)
              || (value < 128 && Character.toLowerCase((char) value) == mark.charAt(index))
          : isTail(form, value);
    }
  }

  private record HexShape(PlaceholderForm form, String digits) implements Pattern {
    HexShape(PlaceholderForm form) {
      this(form, HexFormat.of().formatHex(form.mark().getBytes(StandardCharsets.US_ASCII)));
    }

    @Override
    public int length() {
      return 2 * form.length();
    }

    @Override
    public boolean accepts(int index, int value) {
      if (index < digits.length()) {
        return value < 128 && Character.toLowerCase((char) value) == digits.charAt(index);
      }
      return Character.digit(value, 16) >= 0 && (index % 2 == 1 || (value >= '3' && value <= '7'));
    }
  }

  private record Base64Shape(PlaceholderForm form, int alignment, String core) implements Pattern {
    Base64Shape(PlaceholderForm form, int alignment) {
      this(form, alignment, core(form, alignment));
    }

    static int firstWholeDigit(int alignment) {
      return (8 * alignment + 5) / 6;
    }

    /** The digits that the mark alone decides. */
    private static String core(PlaceholderForm form, int alignment) {
      String padded = "\0".repeat(alignment) + form.mark();
      String digits =
          Base64.getEncoder()
              .withoutPadding()
              .encodeToString(padded.getBytes(StandardCharsets.US_ASCII));
      return digits.substring(firstWholeDigit(alignment), 8 * padded.length() / 6);
    }

    @Override
    public int length() {
      return (8 * (alignment + form.length()) + 5) / 6 - firstWholeDigit(alignment);
    }

    @Override
    public boolean accepts(int index, int value) {
      return index < core.length()
          ? value == core.charAt(index)
          : isBase62(value) || value == '+' || value == '/' || value == '-' || value == '_';
    }
  }
}
