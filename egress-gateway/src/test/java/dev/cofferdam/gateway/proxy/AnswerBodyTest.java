package dev.cofferdam.gateway.proxy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.gateway.scrub.GzipReader;
import dev.cofferdam.gateway.scrub.Scrubber;
import dev.cofferdam.gateway.scrub.SecretValue;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.UnpooledByteBufAllocator;
import java.io.ByteArrayOutputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class AnswerBodyTest {
  private static final String VALUE = "sk-live-0123456789abcdef";
  private static final String PLACEHOLDER = "cofferdam_placeholder";

  private final UnpooledByteBufAllocator allocator = new UnpooledByteBufAllocator(true);

  private static SecretValue secret() {
    SecretValue secret = new SecretValue(VALUE.length());
    for (int i = 0; i < VALUE.length(); i++) {
      secret.set(i, (byte) VALUE.charAt(i));
    }
    return secret;
  }

  private static void take(AnswerBody body, StringBuilder out) throws Exception {
    for (Optional<ByteBuf> piece = body.poll(); piece.isPresent(); piece = body.poll()) {
      out.append(piece.get().toString(StandardCharsets.US_ASCII));
      piece.get().release();
    }
  }

  @Test
  void partsThatAreKeptBackWholeLeaveNoMemoryBehind() throws Exception {
    StringBuilder out = new StringBuilder();
    try (SecretValue secret = secret();
        Scrubber scrubber = new Scrubber(List.of(new Scrubber.Secret(secret, PLACEHOLDER, false)));
        AnswerBody body = new AnswerBody(scrubber, false, false, allocator)) {
      for (String part : List.of("sk-l", "ive-", "0123", "456789abcdef and more")) {
        body.add(
            allocator
                .directBuffer(part.length())
                .writeBytes(part.getBytes(StandardCharsets.US_ASCII)));
        take(body, out);
      }
      body.end();
      take(body, out);
    }
    assertThat(out.toString()).isEqualTo(PLACEHOLDER + " and more");
    assertThat(allocator.metric().usedDirectMemory()).isZero();
  }

  private static byte[] message(String text) {
    return ByteBuffer.allocate(5 + text.length())
        .put((byte) 0)
        .putInt(text.length())
        .put(text.getBytes(StandardCharsets.US_ASCII))
        .array();
  }

  /** The other side of a call may wait for it, whatever it ends with. */
  @ParameterizedTest
  @ValueSource(ints = {1, 3, 5, 7, 1000})
  void aMessageOfGrpcIsGivenWhole(int most) throws Exception {
    List<String> texts = List.of("said", "", "sk-live-0123", "x" + VALUE, "end");
    StringBuilder out = new StringBuilder();
    StringBuilder expected = new StringBuilder();
    try (SecretValue secret = secret();
        Scrubber scrubber = new Scrubber(List.of(new Scrubber.Secret(secret, PLACEHOLDER, false)));
        AnswerBody body = new AnswerBody(scrubber, true, false, allocator)) {
      for (String text : texts) {
        byte[] bytes = message(text);
        for (int at = 0; at < bytes.length; at += most) {
          int length = Math.min(most, bytes.length - at);
          body.add(allocator.directBuffer(length).writeBytes(bytes, at, length));
        }
        take(body, out);
        expected.append(new String(message(text), StandardCharsets.US_ASCII));
        assertThat(out.toString()).isEqualTo(expected.toString().replace(VALUE, PLACEHOLDER));
      }
      // Two in one part.
      byte[] first = message("and");
      byte[] second = message("more");
      body.add(
          allocator
              .directBuffer(first.length + second.length)
              .writeBytes(first)
              .writeBytes(second, 0, second.length - 1));
      take(body, out);
      assertThat(out.toString()).endsWith("and\0\0\0\0\4");
    }
    assertThat(allocator.metric().usedDirectMemory()).isZero();
  }

  /** Whoever breaks an answer off could else have it taken for a whole one. */
  @Test
  void onePackedAndCutOffIsNoWholeOne() throws Exception {
    ByteArrayOutputStream packed = new ByteArrayOutputStream();
    try (OutputStream gzip = new GZIPOutputStream(packed)) {
      gzip.write("an answer of some length".getBytes(StandardCharsets.US_ASCII));
    }
    for (int length = 1; length <= packed.size(); length++) {
      StringBuilder out = new StringBuilder();
      try (SecretValue secret = secret();
          Scrubber scrubber =
              new Scrubber(List.of(new Scrubber.Secret(secret, PLACEHOLDER, false)));
          AnswerBody body = new AnswerBody(scrubber, false, true, allocator)) {
        body.add(allocator.directBuffer(length).writeBytes(packed.toByteArray(), 0, length));
        take(body, out);
        body.end();
        if (length < packed.size()) {
          assertThatThrownBy(() -> take(body, out))
              .as("cut off after %d bytes", length)
              .isInstanceOf(GzipReader.CorruptException.class);
        } else {
          take(body, out);
          assertThat(out.toString()).isEqualTo("an answer of some length");
        }
      }
    }
    assertThat(allocator.metric().usedDirectMemory()).isZero();
  }
}
