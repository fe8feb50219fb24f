package dev.cofferdam.gateway.placeholder;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.gateway.AttackRow;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class BodyScannerTest {
  private static final String PLACEHOLDER =
      "cofferdam_" + "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8S9t0Uv4";

  private static String hex() {
    return HexFormat.of().formatHex(PLACEHOLDER.getBytes(StandardCharsets.US_ASCII));
  }

  private static String base64(String before, String after) {
    return Base64.getEncoder()
        .encodeToString((before + PLACEHOLDER + after).getBytes(StandardCharsets.US_ASCII));
  }

  private static List<String> forms() {
    return List.of(
        PLACEHOLDER,
        PLACEHOLDER.replace("_", "%5F"),
        PLACEHOLDER.replace("_", "%255f"),
        PLACEHOLDER.replace("_", "\\u005f"),
        "%" + HexFormat.ofDelimiter("%").formatHex(PLACEHOLDER.getBytes(StandardCharsets.US_ASCII)),
        hex(),
        base64("", ""),
        base64("u:", ""),
        base64("u", "x"),
        base64("user", "tail"));
  }

  /** What left before the placeholder was found is not the whole of it. */
  @AttackRow({10, 12})
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
  void inEveryFormAndChunkingAPlaceholderIsFoundBeforeItHasLeft(long seed) {
    Random random = new Random(seed);
    for (String form : forms()) {
      byte[] body = ("{\"text\": \"" + form + "\"}").getBytes(StandardCharsets.US_ASCII);
      StringBuilder left = new StringBuilder();
      try (BodyScanner scanner = new BodyScanner()) {
        for (int at = 0; at < body.length && scanner.found().isEmpty(); ) {
          int length = Math.min(body.length - at, 1 + random.nextInt(8));
          ByteBuf leaving = scanner.feed(Unpooled.copiedBuffer(body, at, length), false);
          if (scanner.found().isEmpty()) {
            left.append(leaving.toString(StandardCharsets.US_ASCII));
          }
          leaving.release();
          at += length;
        }
        assertThat(scanner.found()).as(form).isNotEmpty();
        assertThat(scanner.found().getFirst().placeholder()).isEqualTo(PLACEHOLDER);
        assertThat(left.toString()).doesNotContain(form.substring(0, form.length() / 2));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {11, 12, 13, 14})
  void aBodyWithoutOneLeavesAsItIs(long seed) {
    Random random = new Random(seed);
    StringBuilder body = new StringBuilder();
    for (int i = 0; i < 3000; i++) {
      body.append(random.nextInt(20) == 0 ? "cofferdam_Ab" : "c%6\\Y29mZmVyZGFtX").append(i % 10);
    }
    byte[] bytes = body.toString().getBytes(StandardCharsets.US_ASCII);
    StringBuilder left = new StringBuilder();
    try (BodyScanner scanner = new BodyScanner()) {
      int at = 0;
      while (at < bytes.length) {
        int length = Math.min(bytes.length - at, 1 + random.nextInt(30));
        ByteBuf leaving = scanner.feed(Unpooled.copiedBuffer(bytes, at, length), false);
        left.append(leaving.toString(StandardCharsets.US_ASCII));
        leaving.release();
        at += length;
      }
      ByteBuf rest = scanner.feed(Unpooled.EMPTY_BUFFER, true);
      left.append(rest.toString(StandardCharsets.US_ASCII));
      rest.release();
      assertThat(scanner.found()).isEmpty();
    }
    assertThat(left.toString()).isEqualTo(body.toString());
  }

  @Test
  void aShortMessageThatOnlyEndsLikeTheBeginningOfOneLeavesAtOnce() {
    try (BodyScanner scanner = new BodyScanner()) {
      ByteBuf leaving =
          scanner.feed(Unpooled.copiedBuffer("abc".getBytes(StandardCharsets.US_ASCII)), false);

      assertThat(leaving.toString(StandardCharsets.US_ASCII)).isEqualTo("abc");
      leaving.release();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"\n", "\r\n", "\\n", "\\r\\n"})
  void base64InLinesIsFoundWhereverTheyBreak(String lineBreak) {
    String encoded = base64("user:", "tail");
    for (int width = 1; width < 8; width++) {
      String folded =
          encoded.replaceAll("(.{" + width + "})", "$1" + lineBreak.replace("\\", "\\\\"));
      assertThat(Candidates.in(folded))
          .as(folded)
          .containsExactly(new Candidates.Found(PLACEHOLDER, false));
    }
  }

  /** What is kept is copied and looked at again with every chunk, so it must have a bound. */
  @ParameterizedTest
  @ValueSource(strings = {"\n", "\r\n", "\\n", "\\r\\n", "\r", "\\u000a", "%0A", "%250a"})
  void noFillingBetweenTheDigitsOfBase64MakesItKeepMuch(String filling) {
    String start = base64("", "").substring(0, 12);
    byte[] chunk = filling.repeat(4096).getBytes(StandardCharsets.US_ASCII);
    try (BodyScanner scanner = new BodyScanner()) {
      scanner
          .feed(Unpooled.copiedBuffer(start.getBytes(StandardCharsets.US_ASCII)), false)
          .release();
      for (int i = 0; i < 100; i++) {
        ByteBuf leaving = scanner.feed(Unpooled.copiedBuffer(chunk), false);
        assertThat(leaving.readableBytes()).isGreaterThan(chunk.length - 1024);
        leaving.release();
      }
      assertThat(scanner.found()).isEmpty();
    }
  }

  @Test
  void oneCharacterMoreOrBesideItMakesItAnother() {
    assertThat(Candidates.in("Bearer " + PLACEHOLDER))
        .containsExactly(new Candidates.Found(PLACEHOLDER, true));
    assertThat(Candidates.in(PLACEHOLDER + "x"))
        .containsExactly(new Candidates.Found(PLACEHOLDER, false));
    assertThat(Candidates.in("x" + PLACEHOLDER))
        .containsExactly(new Candidates.Found(PLACEHOLDER, false));
  }
}
