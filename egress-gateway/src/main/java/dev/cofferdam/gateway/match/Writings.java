package dev.cofferdam.gateway.match;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * How a byte may be written: what {@link Needle} reads, told the other way round. It may tell of
 * more than is read, never of less.
 *
 * <p>A unit of a pattern stands as early as can be where each before it is one byte, so with its
 * index all is told that can stand anywhere in the first bytes of a match.
 */
final class Writings {
  /** Characters of an entity's name. */
  private static final int LONGEST_NAME = 7;

  private static final Writings[] EXACT = new Writings[256];
  private static final Writings[] ESCAPED = new Writings[256];

  /** What may break a text into lines. */
  private static final byte[][] BREAKS =
      Stream.of("\r", "\n", "\r\n", "\\r", "\\n", "\\r\\n", "\r\\n", "\\r\n")
          .map(Writings::bytes)
          .toArray(byte[][]::new);

  static {
    for (int value = 0; value < 256; value++) {
      String itself = String.valueOf((char) value);
      EXACT[value] = new Writings(List.of(itself));
      ESCAPED[value] = new Writings(all(value, itself));
    }
  }

  private final int[] firsts;

  /** The last bytes of those that are so long; of none that is longer than matters. */
  private final int[][] lasts;

  /** Pairs at a distance from the first byte, the first byte of each above the second. */
  private final int[][] pairs;

  private Writings(List<String> texts) {
    List<byte[]> all = texts.stream().map(Writings::bytes).toList();
    this.firsts = all.stream().mapToInt(each -> each[0] & 0xff).distinct().toArray();
    this.lasts =
        IntStream.rangeClosed(0, Starts.STEP)
            .mapToObj(length ->
                all.stream()
                    .filter(each -> each.length == length)
                    .mapToInt(each -> each[length - 1] & 0xff)
                    .distinct()
                    .toArray())
            .toArray(int[][]::new);
    this.pairs =
        IntStream.range(0, Starts.STEP)
            .mapToObj(at ->
                all.stream()
                    .filter(each -> at + 1 < each.length)
                    .mapToInt(each -> (each[at] & 0xff) << 8 | (each[at + 1] & 0xff))
                    .distinct()
                    .toArray())
            .toArray(int[][]::new);
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.ISO_8859_1);
  }

  static Writings of(int value, Needle.Form form) {
    return form == Needle.Form.EXACT ? EXACT[value] : ESCAPED[value];
  }

  /** Tells what stands in one of them, of a unit with that index. */
  void within(int index, Starts table) {
    for (int at = 0; index + at < Starts.STEP; at++) {
      for (int pair : pairs[at]) {
        table.add(pair >> 8, pair & 0xff);
      }
    }
  }

  /** Tells what stands where one of them, of a unit with that index, is followed by the next. */
  void next(int index, Writings next, Starts table) {
    for (int length = 1; index + length <= Starts.STEP; length++) {
      for (int last : lasts[length]) {
        for (int first : next.firsts) {
          table.add(last, first);
        }
      }
    }
  }

  /** Tells what stands where a line ends between two units, of which the second has that index. */
  static void broken(int index, Writings before, Writings next, Starts table) {
    for (byte[] each : BREAKS) {
      for (int length = 1; index - 1 + length <= Starts.STEP; length++) {
        for (int last : before.lasts[length]) {
          table.add(last, each[0] & 0xff);
        }
      }
      for (int at = 0; at + 1 < each.length; at++) {
        table.add(each[at] & 0xff, each[at + 1] & 0xff);
      }
      for (int first : next.firsts) {
        table.add(each[each.length - 1] & 0xff, first);
      }
    }
  }

  private static List<String> all(int value, String itself) {
    List<String> all = new ArrayList<>(List.of(itself, "\\" + itself));
    switch (value) {
      case '\t' -> all.add("\\t");
      case '\b' -> all.add("\\b");
      case '\f' -> all.add("\\f");
      default -> {}
    }
    for (String digits : inAnyCase("%02x".formatted(value))) {
      all.addAll(percent(digits));
      all.add("\\x" + digits);
      all.add("\\u00" + digits);
    }
    if (value == ' ') {
      all.add("+");
      inAnyCase("2b").forEach(digits -> all.addAll(percent(digits)));
    }
    Entities.names(value).forEach(name -> all.add("&" + name + ";"));
    all.addAll(padded("&#", Integer.toString(value)));
    for (String digits : inAnyCase(Integer.toHexString(value))) {
      all.addAll(padded("&#x", digits));
      all.addAll(padded("&#X", digits));
    }
    return all;
  }

  private static List<String> percent(String digits) {
    return List.of("%" + digits, "%25" + digits, "%2525" + digits);
  }

  private static List<String> padded(String before, String digits) {
    int most = LONGEST_NAME + 1 - before.length() - digits.length();
    return IntStream.rangeClosed(0, most)
        .mapToObj(zeros -> before + "0".repeat(zeros) + digits + ";")
        .toList();
  }

  private static Set<String> inAnyCase(String digits) {
    String upper = digits.toUpperCase(Locale.ROOT);
    Set<String> all = new HashSet<>(Set.of(digits));
    for (int i = 0; i <= digits.length(); i++) {
      all.add(digits.substring(0, i) + upper.substring(i));
      all.add(upper.substring(0, i) + digits.substring(i));
    }
    return all;
  }
}
