package dev.cofferdam.edge.secret;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.function.IntFunction;
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

  /** Closed alone, its bytes would lie in freed memory. */
  @Test
  void aClosedValueLeavesZeroes() {
    try (Arena kept = Arena.ofShared()) {
      List<MemorySegment> given = new ArrayList<>();
      Arena staying =
          new Arena() {
            @Override
            public MemorySegment allocate(long bytes, long alignment) {
              given.add(kept.allocate(bytes, alignment));
              return given.getLast();
            }

            @Override
            public MemorySegment.Scope scope() {
              return kept.scope();
            }

            @Override
            public void close() {}
          };
      HeldValue value = new HeldValue(3, staying);
      value.append((byte) 'a');
      value.append((byte) 'b');
      assertThat(given.getFirst().get(ValueLayout.JAVA_BYTE, 1)).isEqualTo((byte) 'b');
      value.close();
      assertThat(given.getFirst().toArray(ValueLayout.JAVA_BYTE)).containsOnly(0);
    }
  }

  @Test
  void noMoreIsReadThanWasWritten() {
    try (HeldValue value = new HeldValue(8)) {
      value.append((byte) 'a');
      assertThatThrownBy(() -> value.at(1)).isInstanceOf(IndexOutOfBoundsException.class);
    }
  }

  private static boolean isClosed(HeldValue value) {
    try {
      var _ = value.length() > 0 ? value.at(0) : 0;
      return value.length() == 0;
    } catch (IllegalStateException e) {
      return true;
    }
  }

  /** What is read on the way, and what was found before the end, is in nobody's hands. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"value\":\"first\",\"b\":{\"value\":\"second\"}}",
        "{\"value\":\"first\",\"b\":{\"value\":\"sec\\x",
        "{\"value\":\"first\",\"open"
      })
  void onlyWhatIsAnsweredStaysOpen(String json) {
    List<HeldValue> made = new ArrayList<>();
    IntFunction<HeldValue> memory =
        bytes -> {
          made.add(new HeldValue(bytes));
          return made.getLast();
        };
    List<HeldValue> answered = new ArrayList<>();
    try (HeldValue config = base64(json)) {
      answered.addAll(ConfigReader.read(config, memory).values());
    } catch (IllegalArgumentException e) {
      assertThat(json).doesNotEndWith("}");
    }
    assertThat(made).hasSizeGreaterThan(1);
    assertThat(made).allMatch(value -> answered.contains(value) != isClosed(value));
    answered.forEach(HeldValue::close);
  }

  @Test
  void whatIsDecodedOfWhatIsNoBase64IsClosed() {
    List<HeldValue> made = new ArrayList<>();
    try (HeldValue config = held("e30*")) {
      assertThatThrownBy(() ->
              ConfigReader.read(
                  config,
                  bytes -> {
                    made.add(new HeldValue(bytes));
                    return made.getLast();
                  }))
          .hasMessageContaining("Base64");
    }
    assertThat(made).singleElement().matches(ConfigReaderTest::isClosed);
  }

  @Test
  void aConfigurationClosesItsValues() {
    CarriedConfig config = read("{\"value\":\"first\"}");
    config.close();
    assertThat(config.values()).singleElement().matches(ConfigReaderTest::isClosed);
  }

  @Test
  void itHasItsLimits() {
    String value = "{\"value\":\"v\"}";
    try (CarriedConfig config = read("[" + (value + ",").repeat(63) + value + "]")) {
      assertThat(config.values()).hasSize(64);
    }
    assertThatThrownBy(() -> read("[" + (value + ",").repeat(64) + value + "]"))
        .hasMessageContaining("over 64 values");
    try (CarriedConfig config = read("{\"" + "n".repeat(65_535) + "\":1}")) {
      assertThat(config.values()).isEmpty();
    }
    assertThatThrownBy(() -> read("{\"" + "n".repeat(65_537) + "\":1}"))
        .hasMessageContaining("over 64 Ki");
  }
}
