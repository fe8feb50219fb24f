package dev.cofferdam.gateway.placeholder;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.gateway.match.StreamMatcher;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

final class CandidatesTest {
  private static final String USUAL = "cofferdam_" + "k3JpQ".repeat(8) + "abc";
  private static final String SHAPED = "sk-c0fferdam" + "A1b2C3d4E5f6G7h8I9j0K1l2M3";
  private static final int TEXTS = 3_000;

  /** What may stand in a text: all forms, whole and cut, beside what only begins like one. */
  private static List<String> pieces() {
    List<String> pieces =
        new ArrayList<>(
            List.of("%", "\\", "&", "&#", "%25", "\\u0063", "\r\n", "=", "c", "co", "Y2", "63"));
    for (String placeholder : List.of(USUAL, SHAPED)) {
      byte[] bytes = placeholder.getBytes(StandardCharsets.US_ASCII);
      pieces.add(placeholder);
      pieces.add(HexFormat.of().formatHex(bytes));
      pieces.add(placeholder.replace("c", "%63").replace("0", "\\u0030"));
      for (String before : List.of("", "x", "xy")) {
        String base64 =
            Base64.getEncoder()
                .encodeToString((before + placeholder).getBytes(StandardCharsets.US_ASCII));
        pieces.add(base64);
        pieces.add(base64.substring(0, 9) + "\r\n" + base64.substring(9));
      }
    }
    return pieces;
  }

  /** All that a scan tells, and where it stopped. */
  private static String told(StreamMatcher matcher, ByteBuf text, int end, boolean last) {
    StringBuilder told = new StringBuilder();
    StreamMatcher.Rest rest =
        matcher.scan(
            text,
            0,
            end,
            last,
            2,
            new StreamMatcher.Sink() {
              @Override
              public void clean(ByteBuf in, int from, int length) {
                told.append("clean ").append(from).append(' ').append(length).append('\n');
              }

              @Override
              public void found(int needle, ByteBuf in, int from, int length) {
                told.append(needle)
                    .append(' ')
                    .append(from)
                    .append(' ')
                    .append(length)
                    .append('\n');
              }
            });
    return told.append(rest).toString();
  }

  /** Two bytes tell that nothing begins, and never that something does which then is missed. */
  @Test
  void lookingAtTwoBytesFirstChangesNothing() {
    StreamMatcher plain = new StreamMatcher(Candidates.NEEDLES);
    Random random = new Random(7);
    List<String> pieces = pieces();
    int found = 0;
    for (int i = 0; i < TEXTS; i++) {
      StringBuilder text = new StringBuilder();
      for (int n = random.nextInt(6); n >= 0; n--) {
        String piece = pieces.get(random.nextInt(pieces.size()));
        int cut = random.nextInt(4) == 0 ? random.nextInt(piece.length()) : 0;
        int from = random.nextBoolean() ? cut : 0;
        text.append(
            piece,
            from,
            random.nextBoolean() ? Math.max(from, piece.length() - 3) : piece.length());
        random.ints(random.nextInt(5), 0, 256).forEach(c -> text.append((char) c));
      }
      ByteBuf bytes = Unpooled.copiedBuffer(text, StandardCharsets.ISO_8859_1);
      int end = bytes.writerIndex() - random.nextInt(Math.min(3, bytes.writerIndex() + 1));
      boolean last = random.nextBoolean();

      String expected = told(plain, bytes, end, last);
      assertThat(told(Candidates.MATCHER, bytes, end, last)).as("%s", text).isEqualTo(expected);
      found += (int) expected.lines().filter(line -> Character.isDigit(line.charAt(0))).count();
    }
    assertThat(found).isGreaterThan(TEXTS);
  }
}
