package dev.cofferdam.gateway.match;

import static org.assertj.core.api.Assertions.assertThat;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.io.ByteArrayOutputStream;
import java.lang.foreign.Arena;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** However fast a search is, it tells what trying each needle at each place would tell. */
final class StreamMatcherTest {
  private static final int ROUNDS = 1_500;

  private static final String[] NAMED = {
    "&amp;", "&lt;<", "&gt;>", "&quot;\"", "&apos;'", "&sol;/", "&equals;=", "&plus;+"
  };

  /** A run of units, for each of which one of a few values may stand. */
  private record Choices(List<List<Integer>> values) implements Pattern {
    @Override
    public int length() {
      return values.size();
    }

    @Override
    public boolean accepts(int index, int value) {
      return values.get(index).contains(value);
    }
  }

  /** Writes down what a scan tells. */
  private static final class Notes implements StreamMatcher.Sink {
    private final StringBuilder told = new StringBuilder();
    private int found;

    @Override
    public void clean(ByteBuf in, int from, int length) {
      told.append("clean ").append(from).append(' ').append(length).append('\n');
    }

    @Override
    public void found(int needle, ByteBuf in, int from, int length) {
      found++;
      told.append(needle).append(' ').append(from).append(' ').append(length).append('\n');
    }
  }

  /** Each needle tried at each place. */
  private static StreamMatcher.Rest plainly(
      List<Needle> needles,
      ByteBuf in,
      int from,
      int end,
      boolean last,
      int serious,
      StreamMatcher.Sink sink) {
    int cleanFrom = from;
    int keep = -1;
    int hold = -1;
    int at = from;
    while (at < end) {
      int best = 0;
      int which = -1;
      for (int n = 0; n < needles.size(); n++) {
        int result = needles.get(n).match(in, at, end);
        if (result > best) {
          best = result;
          which = n;
        }
        if (result < 0 && !last) {
          keep = keep < 0 ? at : keep;
          hold = hold < 0 && -1 - result >= serious ? at : hold;
        }
      }
      if (best == 0) {
        at++;
        continue;
      }
      if (keep >= 0) {
        hold = hold < 0 ? at : hold;
      } else {
        if (cleanFrom < at) {
          sink.clean(in, cleanFrom, at - cleanFrom);
        }
        sink.found(which, in, at, best);
        cleanFrom = at + best;
      }
      at += best;
    }
    int stop = keep < 0 ? end : keep;
    if (cleanFrom < stop) {
      sink.clean(in, cleanFrom, stop - cleanFrom);
    }
    return new StreamMatcher.Rest(stop, hold < 0 ? end : hold);
  }

  private static Choices choices(Random random, String alphabet, int least) {
    List<List<Integer>> values = new ArrayList<>();
    for (int units = least + random.nextInt(8); units > 0; units--) {
      List<Integer> unit = new ArrayList<>();
      for (int n = random.nextInt(6) == 0 ? 2 : 1; n > 0; n--) {
        unit.add(
            random.nextInt(8) == 0
                ? random.nextInt(256)
                : (int) alphabet.charAt(random.nextInt(alphabet.length())));
      }
      values.add(unit);
    }
    return new Choices(values);
  }

  /** One unit in one of the ways in which it may be written. */
  private static String written(Random random, int value) {
    String digits = "%02x".formatted(value);
    StringBuilder hex = new StringBuilder();
    for (int i = 0; i < digits.length(); i++) {
      char digit = digits.charAt(i);
      hex.append(random.nextBoolean() ? digit : Character.toUpperCase(digit));
    }
    String itself = String.valueOf((char) value);
    return switch (random.nextInt(9)) {
      case 0 -> "%" + "25".repeat(random.nextInt(3)) + hex;
      case 1 -> "\\x" + hex;
      case 2 -> "\\u00" + hex;
      case 3 -> "&#" + "0".repeat(random.nextInt(4)) + value + ";";
      case 4 ->
          "&#"
              + (random.nextBoolean() ? "x" : "X")
              + "0".repeat(random.nextInt(4))
              + (hex.charAt(0) == '0' ? hex.substring(1) : hex)
              + ";";
      case 5 -> named(value, itself);
      case 6 ->
          switch (value) {
            case '\t' -> "\\t";
            case '\b' -> "\\b";
            case '\f' -> "\\f";
            case ' ' -> random.nextBoolean() ? "+" : "%252B";
            default -> "\\" + itself;
          };
      default -> itself;
    };
  }

  private static String named(int value, String itself) {
    for (String name : NAMED) {
      int end = name.indexOf(';') + 1;
      if (end < name.length() ? name.charAt(end) == value : value == '&') {
        return name.substring(0, end);
      }
    }
    return itself;
  }

  private static String lineBreak(Random random) {
    List<String> breaks = List.of("\r", "\n", "\r\n", "\\r", "\\n", "\\r\\n", "\r\\n", "\\r\n");
    return random.nextInt(4) > 0 ? "" : breaks.get(random.nextInt(breaks.size()));
  }

  /** A run as it may stand in a text, perhaps cut. */
  private static String written(Random random, Choices run) {
    boolean escapes = random.nextBoolean();
    boolean breaks = random.nextBoolean();
    StringBuilder text = new StringBuilder();
    for (List<Integer> values : run.values()) {
      int value = values.get(random.nextInt(values.size()));
      text.append(breaks ? lineBreak(random) : "");
      text.append(escapes ? written(random, value) : String.valueOf((char) value));
    }
    return random.nextInt(3) == 0
        ? text.substring(0, random.nextInt(text.length()))
        : text.toString();
  }

  private static byte[] text(Random random, List<Choices> runs, String alphabet, int length) {
    StringBuilder text = new StringBuilder();
    while (text.length() < length) {
      for (int n = random.nextInt(80); n > 0; n--) {
        text.append(
            random.nextInt(12) == 0
                ? (char) random.nextInt(256)
                : alphabet.charAt(random.nextInt(alphabet.length())));
      }
      text.append(written(random, runs.get(random.nextInt(runs.size()))));
    }
    if (random.nextInt(3) == 0) {
      // An escape that does not end.
      String cut = List.of("&#0000", "&abcdef", "%25256", "\\u006").get(random.nextInt(4));
      text.append(cut, 0, 1 + random.nextInt(cut.length()));
    }
    return text.toString().getBytes(StandardCharsets.ISO_8859_1);
  }

  /** The bytes in a buffer of some kind, with others before and behind them. */
  private static ByteBuf buffer(Random random, byte[] bytes, int before, int behind) {
    byte[] all = new byte[before + bytes.length + behind];
    random.nextBytes(all);
    System.arraycopy(bytes, 0, all, before, bytes.length);
    return switch (random.nextInt(5)) {
      case 0 -> Unpooled.wrappedBuffer(all);
      case 1 -> Unpooled.directBuffer(all.length).writeBytes(all);
      case 2 -> {
        byte[] more = new byte[all.length + 9];
        System.arraycopy(all, 0, more, 5, all.length);
        yield Unpooled.wrappedBuffer(more).slice(5, all.length);
      }
      case 3 -> Unpooled.wrappedBuffer(all).asReadOnly();
      default -> {
        List<ByteBuf> parts = new ArrayList<>();
        int most = random.nextBoolean() ? 4 : 200;
        for (int at = 0; at < all.length; ) {
          int length = Math.min(all.length - at, 1 + random.nextInt(most));
          parts.add(
              random.nextBoolean()
                  ? Unpooled.copiedBuffer(all, at, length)
                  : Unpooled.directBuffer(length).writeBytes(all, at, length));
          at += length;
        }
        yield Unpooled.wrappedBuffer(parts.size(), parts.toArray(ByteBuf[]::new));
      }
    };
  }

  private static List<Needle> needles(Random random, List<Choices> runs) {
    List<Needle> needles = new ArrayList<>();
    for (Choices run : runs) {
      switch (random.nextInt(4)) {
        case 0 -> needles.add(new Needle(run, Needle.Form.EXACT));
        case 1 -> needles.add(new Needle(run, Needle.Form.FOLDED));
        case 2 -> needles.add(new Needle(run, Needle.Form.ESCAPED));
        default -> needles.addAll(Needle.escaped(run));
      }
    }
    return needles;
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6})
  void itTellsWhatTryingEachNeedleAtEachPlaceTells(long seed) {
    Random random = new Random(seed);
    // Few characters, so that much begins like a needle; and those of all kinds of escapes.
    String alphabet = List.of("ab", "c6Y2%5\\x&#; +t", "0123456789abcdefxu%\\").get((int) seed % 3);
    int found = 0;
    int kept = 0;
    for (int round = 0; round < ROUNDS; round++) {
      List<Choices> runs = new ArrayList<>();
      for (int n = random.nextInt(4); n >= 0; n--) {
        runs.add(choices(random, alphabet, random.nextInt(8) == 0 ? 1 : 5));
      }
      List<Needle> needles = needles(random, runs);
      StreamMatcher matcher;
      if (random.nextInt(20) == 0) {
        matcher = StreamMatcher.lasting(needles);
      } else {
        matcher = new StreamMatcher(needles);
        matcher.hasten(Arena.ofAuto().allocate(StreamMatcher.TABLE_BYTES));
      }
      byte[] text = text(random, runs, alphabet, 1 + random.nextInt(500));
      int before = random.nextInt(4);
      ByteBuf in = buffer(random, text, before, random.nextInt(4));
      boolean last = random.nextInt(3) == 0;
      int serious = random.nextInt(5);

      Notes plain = new Notes();
      StreamMatcher.Rest expected =
          plainly(needles, in, before, before + text.length, last, serious, plain);
      Notes fast = new Notes();
      StreamMatcher.Rest rest = matcher.scan(in, before, before + text.length, last, serious, fast);

      assertThat(fast.told.toString()).as("round %d", round).isEqualTo(plain.told.toString());
      assertThat(rest).as("round %d", round).isEqualTo(expected);
      found += plain.found;
      kept += expected.keep() < before + text.length ? 1 : 0;
      in.release();
    }
    assertThat(found).isGreaterThan(ROUNDS);
    assertThat(kept).isGreaterThan(ROUNDS / 10);
  }

  /** Of each byte each way to write it, at each distance from a multiple of the step. */
  @Test
  void whateverAByteIsWrittenAsIsFoundWhereverItStands() {
    Random random = new Random(11);
    for (int value = 0; value < 256; value++) {
      int each = value;
      List<Integer> only = List.of(value);
      Choices run = new Choices(List.of(only, only, only, only, only, List.of((int) '!')));
      List<Needle> needles = Needle.escaped(run);
      StreamMatcher matcher = new StreamMatcher(needles);
      matcher.hasten(Arena.ofAuto().allocate(StreamMatcher.TABLE_BYTES));
      for (int round = 0; round < 40; round++) {
        ByteArrayOutputStream text = new ByteArrayOutputStream();
        text.writeBytes("-".repeat(round % 9).getBytes(StandardCharsets.US_ASCII));
        for (int i = 0; i < 5; i++) {
          text.writeBytes(written(random, each).getBytes(StandardCharsets.ISO_8859_1));
        }
        text.writeBytes(("!" + "-".repeat(70)).getBytes(StandardCharsets.US_ASCII));
        ByteBuf in = Unpooled.wrappedBuffer(text.toByteArray());
        Notes plain = new Notes();
        var expected = plainly(needles, in, 0, in.writerIndex(), true, 0, plain);
        Notes fast = new Notes();

        assertThat(matcher.scan(in, 0, in.writerIndex(), true, 0, fast)).isEqualTo(expected);
        assertThat(fast.told.toString()).isEqualTo(plain.told.toString());
      }
    }
  }
}
