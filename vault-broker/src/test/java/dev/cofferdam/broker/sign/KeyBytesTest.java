package dev.cofferdam.broker.sign;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.broker.secret.SecretValue;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.HmacEncoding;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.HexFormat;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Against the JDK's. */
final class KeyBytesTest {
  private static SecretValue value(String text) {
    return SecretValue.copyOf(MemorySegment.ofArray(text.getBytes(StandardCharsets.US_ASCII)));
  }

  private static byte[] decoded(String text, HmacEncoding encoding) {
    try (SecretValue value = value(text);
        SecretValue key = KeyBytes.of(value, encoding)) {
      KeyBytes.check(value, encoding);
      return key.segment().toArray(ValueLayout.JAVA_BYTE);
    }
  }

  private static String written(byte[] bytes, HmacEncoding encoding) {
    try (SecretValue text = KeyBytes.written(MemorySegment.ofArray(bytes), encoding)) {
      return new String(text.segment().toArray(ValueLayout.JAVA_BYTE), StandardCharsets.US_ASCII);
    }
  }

  @Test
  void asTheJdk() {
    Random random = new Random(1);
    for (int length = 2; length < 100; length++) {
      byte[] bytes = new byte[length];
      random.nextBytes(bytes);
      String hex = HexFormat.of().formatHex(bytes);
      assertThat(written(bytes, HmacEncoding.HMAC_ENCODING_HEX)).isEqualTo(hex);
      assertThat(decoded(hex, HmacEncoding.HMAC_ENCODING_HEX)).isEqualTo(bytes);
      String base64 = Base64.getEncoder().encodeToString(bytes);
      assertThat(written(bytes, HmacEncoding.HMAC_ENCODING_BASE64)).isEqualTo(base64);
      for (String spelled :
          new String[] {
            base64, base64.replace("=", ""), Base64.getUrlEncoder().encodeToString(bytes)
          }) {
        assertThat(decoded(spelled, HmacEncoding.HMAC_ENCODING_BASE64)).isEqualTo(bytes);
      }
      assertThat(decoded(base64, HmacEncoding.HMAC_ENCODING_UNSPECIFIED))
          .isEqualTo(base64.getBytes(StandardCharsets.US_ASCII));
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"abc", "0g", "a b=", "====", "AAAAA", "QUJD====", "QU=JD", "QUJD QUJD", "é0", "%"})
  void whatIsWrittenOtherwiseIsRefused(String text) {
    try (SecretValue value =
        SecretValue.copyOf(MemorySegment.ofArray(text.getBytes(StandardCharsets.UTF_8)))) {
      if (!text.equals("abc") && !text.equals("0g")) {
        assertThatThrownBy(() -> KeyBytes.check(value, HmacEncoding.HMAC_ENCODING_BASE64))
            .as("base64 of " + text)
            .isInstanceOf(Refusal.class)
            .hasMessageNotContaining(text);
      }
      assertThatThrownBy(() -> KeyBytes.check(value, HmacEncoding.HMAC_ENCODING_HEX))
          .isInstanceOf(Refusal.class)
          .hasMessageNotContaining(text);
    }
  }
}
