package dev.cofferdam.edge.secret;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.util.Base64;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class ConfigReaderTest {
  private static HeldValue held(String text) {
    HeldValue held = new HeldValue(text.length());
    for (byte next : text.getBytes(StandardCharsets.ISO_8859_1)) {
      held.append(next);
    }
    return held;
  }

  private static HeldValue base64(String json) {
    return held(Base64.getEncoder().encodeToString(json.getBytes(StandardCharsets.ISO_8859_1)));
  }

  private static String text(HeldValue value) {
    byte[] bytes = new byte[value.length()];
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = value.at(i);
    }
    return new String(bytes, StandardCharsets.UTF_8);
  }

  private static CarriedConfig read(String json) {
    try (HeldValue config = base64(json)) {
      return ConfigReader.read(config);
    }
  }

  @Test
  void valuesAreTakenAndTheRestStaysAsItIs() {
    String json =
        "{\"memory_mb\":1280,\"secrets\":{\"KEY\":{\"hosts\":[\"a.test\"],\"value\":\"first-value\"},\"B\":{\"value\""
            + " : \"second\",\"hosts\":[\"b.test\"]}},\"labels\":{\"x\":\"a \\\"value\\\": b\"}}";
    try (CarriedConfig config = read(json)) {
      assertThat(config.text()).isEqualTo(json.replace("first-value", "").replace("second", ""));
      assertThat(config.values())
          .extracting(ConfigReaderTest::text)
          .containsExactly("first-value", "second");
    }
  }

  @Test
  void aNameMayBeWrittenInEscapes() {
    try (CarriedConfig config = read("{\"\\u0076al\\u0075e\":\"hidden\"}")) {
      assertThat(config.text()).doesNotContain("hidden");
      assertThat(config.values()).extracting(ConfigReaderTest::text).containsExactly("hidden");
    }
  }

  @Test
  void aValueIsUtf8WhateverItWasWrittenIn() {
    try (CarriedConfig config =
        read("{\"value\":\"\\u00e9\u00e9\\n\\\"\\\\\\/\\ud83d\\ude00\\u20ac\"}")) {
      assertThat(config.values())
          .extracting(ConfigReaderTest::text)
          .containsExactly("éé\n\"\\/\ud83d\ude00€");
    }
  }

  /** So that whoever parses the rest sees a string where none may be, or a value too many. */
  @Test
  void aTextThatIsNoValueStays() {
    try (CarriedConfig config =
        read("{\"a\":\"value\",\"value\":[\"kept\"],\"b\":{\"value\":5}}")) {
      assertThat(config.text()).contains("kept");
      assertThat(config.values()).isEmpty();
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"value\":\"open",
        "{\"value\":\"\\x\"}",
        "{\"value\":\"\\u12\"}",
        "{\"value\":\"\\ud83d\"}",
        "{\"value\":\"\\ude00\"}",
        "{\"value\":\"\\ud83dx\"}",
        "{\"open"
      })
  void whatItCannotFollowItRefusesWithoutTelling(String json) {
    assertThatThrownBy(() -> read(json))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageNotContaining("open");
  }

  @Test
  void whatIsNoBase64IsRefused() {
    try (HeldValue config = held("e30*")) {
      assertThatThrownBy(() -> ConfigReader.read(config)).hasMessageContaining("Base64");
    }
  }

  @Test
  void aClosedValueIsGone() {
    HeldValue value = held("x");
    value.close();
    value.close();
    assertThatThrownBy(() -> value.at(0)).isInstanceOf(IllegalStateException.class);
  }
}
