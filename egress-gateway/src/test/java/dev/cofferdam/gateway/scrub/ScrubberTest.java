package dev.cofferdam.gateway.scrub;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.gateway.AttackRow;
import dev.cofferdam.gateway.match.StreamMatcher;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.buffer.UnpooledByteBufAllocator;
import java.io.ByteArrayOutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Random;
import java.util.function.UnaryOperator;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class ScrubberTest {
  private static final String PLACEHOLDER = "cofferdam_" + "a".repeat(43);

  /** Every kind of character that some encoding changes. */
  private static final List<String> VALUES =
      List.of(
          "sk-live-0123456789abcdef",
          "a+b/c=d&e<f>g\"h'i\\j%k l",
          "%41%42%43%44%45%46%47%48",
          "AAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
          "\u00e9\u00fc\u00f1 sixteen bytes and more",
          "x".repeat(300) + "y",
          // In base64 that begins with digits in which its two alphabets differ.
          "?>?>?>~~~>?>?> and the rest");

  private static SecretValue secret(String value) {
    byte[] bytes = value.getBytes(StandardCharsets.UTF_8);
    SecretValue secret = new SecretValue(bytes.length);
    for (int i = 0; i < bytes.length; i++) {
      secret.set(i, bytes[i]);
    }
    return secret;
  }

  /** Feeds a text in pieces of random length, at times within a longer one in longer pieces. */
  private static String scrub(String value, byte[] text, Random random) {
    if (random.nextBoolean()) {
      return scrub(value, text, random, 40);
    }
    String around = ".".repeat(2100 + random.nextInt(8));
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    all.writeBytes(utf8(around));
    all.writeBytes(text);
    all.writeBytes(utf8(around));
    String scrubbed = scrub(value, all.toByteArray(), random, 5000);
    assertThat(scrubbed).startsWith(around).endsWith(around);
    return scrubbed.substring(around.length(), scrubbed.length() - around.length());
  }

  private static String scrub(String value, byte[] text, Random random, int most) {
    try (SecretValue secret = secret(value);
        Scrubber scrubber =
            new Scrubber(List.of(new Scrubber.Secret(secret, PLACEHOLDER, false)))) {
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      int at = 0;
      while (at < text.length) {
        int length =
            Math.min(
                text.length - at, 1 + random.nextInt(most > 40 || random.nextBoolean() ? most : 2));
        take(scrubber.feed(Unpooled.copiedBuffer(text, at, length), false, allocator()), out);
        at += length;
      }
      take(scrubber.feed(Unpooled.EMPTY_BUFFER, true, allocator()), out);
      return out.toString(StandardCharsets.UTF_8);
    }
  }

  private static UnpooledByteBufAllocator allocator() {
    return UnpooledByteBufAllocator.DEFAULT;
  }

  private static void take(ByteBuf piece, ByteArrayOutputStream out) {
    byte[] bytes = new byte[piece.readableBytes()];
    piece.readBytes(bytes);
    piece.release();
    out.writeBytes(bytes);
  }

  private static List<UnaryOperator<String>> encodings() {
    List<UnaryOperator<String>> encodings = new ArrayList<>();
    encodings.add(v -> v);
    encodings.add(v -> HexFormat.of().formatHex(utf8(v)));
    encodings.add(v -> HexFormat.of().withUpperCase().formatHex(utf8(v)));
    encodings.add(v -> URLEncoder.encode(v, StandardCharsets.UTF_8));
    encodings.add(v ->
        URLEncoder.encode(URLEncoder.encode(v, StandardCharsets.UTF_8), StandardCharsets.UTF_8));
    encodings.add(v -> "%" + HexFormat.ofDelimiter("%").formatHex(utf8(v)));
    encodings.add(
        v -> "%" + HexFormat.ofDelimiter("%").formatHex(utf8(v)).toUpperCase(Locale.ROOT));
    encodings.add(v -> v.replace("\\", "\\\\").replace("\"", "\\\"").replace("/", "\\/"));
    encodings.add(v ->
        v.replace("&", "&amp;")
            .replace("<", "&lt;")
            .replace(">", "&gt;")
            .replace("\"", "&#34;")
            .replace("'", "&#x27;"));
    return encodings;
  }

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  @AttackRow({18, 19})
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
  void inEveryEncodingAndChunkingTheValueBecomesThePlaceholder(long seed) {
    Random random = new Random(seed);
    for (String value : VALUES) {
      for (UnaryOperator<String> encoding : encodings()) {
        String encoded = encoding.apply(value);
        String text = "<" + encoded + "> and \"" + encoded + "\"";

        assertThat(scrub(value, utf8(text), random))
            .as("%s as %s", value, encoded)
            .isEqualTo("<" + PLACEHOLDER + "> and \"" + PLACEHOLDER + "\"");
      }
    }
  }

  @AttackRow(18)
  @ParameterizedTest
  @ValueSource(longs = {11, 12, 13, 14, 15, 16, 17, 18})
  void inBase64NothingOfTheValueRemainsWhateverStandsBesideIt(long seed) {
    Random random = new Random(seed);
    for (String value : VALUES) {
      for (int before = 0; before < 3; before++) {
        byte[] plain = utf8("u".repeat(before) + value + "tail".substring(0, random.nextInt(5)));
        for (Base64.Encoder encoder :
            List.of(
                Base64.getEncoder(),
                Base64.getUrlEncoder().withoutPadding(),
                Base64.getMimeEncoder())) {
          String encoded = encoder.encodeToString(plain);

          String scrubbed = scrub(value, utf8("x=\"" + encoded + "\""), random);

          assertThat(scrubbed).contains(PLACEHOLDER);
          // At most the digits that the value shares with its neighbours are left.
          assertThat(scrubbed.length()).isLessThan(PLACEHOLDER.length() + 20);
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {21, 22, 23, 24})
  void whatHoldsNoSecretIsUnchanged(long seed) {
    Random random = new Random(seed);
    byte[] noise = new byte[5000];
    for (int i = 0; i < noise.length; i++) {
      // Many beginnings of the value and of escapes, and never the whole of it.
      noise[i] = (byte) "sk-live-%\\&6c2U".charAt(random.nextInt(15));
    }

    assertThat(scrub(VALUES.getFirst(), noise, random))
        .isEqualTo(new String(noise, StandardCharsets.UTF_8));
  }

  /** What is out after each piece. */
  private static List<Integer> given(String value, List<String> pieces) {
    List<Integer> lengths = new ArrayList<>();
    try (SecretValue secret = secret(value);
        Scrubber scrubber =
            new Scrubber(List.of(new Scrubber.Secret(secret, PLACEHOLDER, false)))) {
      for (String piece : pieces) {
        ByteBuf out = scrubber.feed(Unpooled.copiedBuffer(utf8(piece)), false, allocator());
        lengths.add(out.readableBytes());
        out.release();
      }
    }
    return lengths;
  }

  /**
   * A guest to which a server says its own words back would else find the value a byte at a time:
   * it would see whether its guess is kept back as a beginning of it.
   */
  @AttackRow(54)
  @ParameterizedTest
  @ValueSource(longs = {41, 42, 43, 44, 45, 46})
  void whatIsHeldBackTellsNothingOfTheValue(long seed) {
    Random random = new Random(seed);
    List<String> values = List.of("sk-live-0123456789abcdef", "Zm9v+/_%26ZZZZZZZZZZZZZZ");
    List<String> between = List.of("", " ", "\n", "\n\n", "\"", "=", "x".repeat(1100), "\u00e9");
    for (int round = 0; round < 200; round++) {
      List<String> pieces = new ArrayList<>();
      for (int piece = 0; piece < 6; piece++) {
        String value = values.get(random.nextInt(values.size()));
        String written = encodings().get(random.nextInt(encodings().size())).apply(value);
        if (random.nextInt(3) == 0) {
          written = Base64.getMimeEncoder(20, utf8("\r\n")).encodeToString(utf8(value));
        }
        pieces.add(
            between.get(random.nextInt(between.size()))
                + written.substring(0, random.nextInt(written.length()))
                + between.get(random.nextInt(between.size())));
      }
      assertThat(given(values.getFirst(), pieces))
          .as("%s", pieces)
          .isEqualTo(given(values.getLast(), pieces));
    }
  }

  /** But that it is one with blanks, or with characters that are not of ASCII. */
  @Test
  void aValueWithBlanksIsLookedForInLines() {
    assertThat(given("a value with blanks", List.of("one two", " three\n", "four")))
        .containsExactly(0, 14, 0);
    assertThat(given("sk-live-0123456789abcdef", List.of("one two", " three\n", "four")))
        .containsExactly(4, 10, 0);
  }

  @Test
  void aPartThatCannotBecomeTheValueIsNotHeldBack() {
    try (SecretValue secret = secret(VALUES.getFirst());
        Scrubber scrubber =
            new Scrubber(List.of(new Scrubber.Secret(secret, PLACEHOLDER, false)))) {
      ByteBuf out = scrubber.feed(Unpooled.copiedBuffer(utf8("data: one\n\n")), false, allocator());

      assertThat(out.toString(StandardCharsets.UTF_8)).isEqualTo("data: one\n\n");
      out.release();
    }
  }

  /** What is kept back is scanned again with every chunk, so it must have a bound. */
  @ParameterizedTest
  @ValueSource(strings = {"\n", "\r\n", "\\n"})
  void emptyLinesBetweenTheDigitsOfBase64AreNotHeldBack(String lineBreak) {
    String start = Base64.getEncoder().encodeToString(utf8(VALUES.getFirst())).substring(0, 12);
    byte[] chunk = utf8(lineBreak.repeat(4096));
    try (SecretValue secret = secret(VALUES.getFirst());
        Scrubber scrubber =
            new Scrubber(List.of(new Scrubber.Secret(secret, PLACEHOLDER, false)))) {
      scrubber.feed(Unpooled.copiedBuffer(utf8(start)), false, allocator()).release();
      for (int i = 0; i < 100; i++) {
        ByteBuf out = scrubber.feed(Unpooled.copiedBuffer(chunk), false, allocator());
        assertThat(out.readableBytes()).isGreaterThan(chunk.length - 1024);
        out.release();
      }
    }
  }

  @AttackRow(54)
  @Test
  void aWeakValueIsSeen() {
    try (SecretValue secret = secret("pin4");
        Scrubber scrubber = new Scrubber(List.of(new Scrubber.Secret(secret, PLACEHOLDER, true)))) {
      assertThat(whole(scrubber, "nothing")).isEqualTo("nothing");
      assertThat(scrubber.weakSeen()).isFalse();

      assertThat(whole(scrubber, "the pin4 is")).isEqualTo("the " + PLACEHOLDER + " is");
      assertThat(scrubber.weakSeen()).isTrue();
    }
  }

  /** A long answer's table is of the value's bytes: each block comes back, and then is zeroed. */
  @Test
  void whatItKnowsOfTheValueGoesWithIt() {
    byte[] answer = utf8(".".repeat(2048));
    // More than there are blocks of that size and of larger ones.
    for (int i = 0; i < 1100; i++) {
      try (SecretValue secret = secret(VALUES.getFirst());
          Scrubber scrubber =
              new Scrubber(List.of(new Scrubber.Secret(secret, PLACEHOLDER, false)))) {
        scrubber.feed(Unpooled.wrappedBuffer(answer), false, allocator()).release();
      }
    }
    ValueMemory.Block block = ValueMemory.take(StreamMatcher.TABLE_BYTES);
    assertThat(block.bytes().scope()).isEqualTo(Arena.global().scope());
    assertThat(block.bytes().toArray(ValueLayout.JAVA_BYTE)).containsOnly(0);
    block.giveBack();
  }

  private static String whole(Scrubber scrubber, String text) {
    ByteBuf clean = scrubber.whole(Unpooled.copiedBuffer(utf8(text)), allocator());
    String read = clean.toString(StandardCharsets.UTF_8);
    clean.release();
    return read;
  }

  @ParameterizedTest
  @ValueSource(longs = {31, 32, 33})
  void gzipIsReadInAnyChunkingAndInSeveralMembers(long seed) throws Exception {
    Random random = new Random(seed);
    byte[] plain = new byte[100_000];
    for (int i = 0; i < plain.length; i++) {
      plain[i] = (byte) ('a' + random.nextInt(3));
    }
    ByteArrayOutputStream packed = new ByteArrayOutputStream();
    for (int member = 0; member < 2; member++) {
      try (GZIPOutputStream gzip = new GZIPOutputStream(packed)) {
        gzip.write(plain);
      }
    }
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (GzipReader reader = new GzipReader()) {
      byte[] bytes = packed.toByteArray();
      int at = 0;
      while (at < bytes.length) {
        int length = Math.min(bytes.length - at, 1 + random.nextInt(500));
        reader.feed(Unpooled.copiedBuffer(bytes, at, length));
        at += length;
        for (Optional<ByteBuf> piece = reader.next(allocator());
            piece.isPresent();
            piece = reader.next(allocator())) {
          assertThat(piece.get().readableBytes()).isLessThanOrEqualTo(16 << 10);
          take(piece.get(), out);
        }
      }
      assertThat(reader.complete()).isTrue();
    }
    byte[] twice = new byte[2 * plain.length];
    System.arraycopy(plain, 0, twice, 0, plain.length);
    System.arraycopy(plain, 0, twice, plain.length, plain.length);
    assertThat(out.toByteArray()).isEqualTo(twice);
  }
}
