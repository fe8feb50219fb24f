package dev.cofferdam.broker.oauth;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.broker.secret.SecretValue;
import io.netty.buffer.Unpooled;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class JsonMembersTest {
  private static JsonMembers read(String text) throws JsonMembers.MalformedException {
    return new JsonMembers(
        Unpooled.copiedBuffer(text, UTF_8), Set.of("access_token", "expires_in"));
  }

  private static String token(String text) throws JsonMembers.MalformedException {
    try (SecretValue value = read(text).value("access_token").orElseThrow()) {
      StringBuilder told = new StringBuilder();
      for (int i = 0; i < value.length(); i++) {
        told.append((char) value.at(i));
      }
      return told.toString();
    }
  }

  @Test
  void membersAreFoundWhereverTheyStandAndHoweverTheyAreWritten() throws Exception {
    assertThat(token("{\"access_token\":\"abc\"}")).isEqualTo("abc");
    assertThat(
            token(
                " \r\n"
                    + "\t{ \"a\" : [1, -0.5e+3, {}, [], \"x\\\"}\"], \"access_token\" :"
                    + " \"a\\/\\u0062\\\"c\" } \n"))
        .isEqualTo("a/b\"c");
    assertThat(token("{\"\\u0061ccess_token\":\"abc\",\"ü\":null}")).isEqualTo("abc");
    assertThat(token("{\"in\":{\"access_token\":\"inner\"},\"access_token\":\"outer\"}"))
        .isEqualTo("outer");
    assertThat(read("{}").value("access_token")).isEmpty();
    assertThat(read("{\"in\":{\"access_token\":\"inner\"}}").value("access_token")).isEmpty();
  }

  @Test
  void countsAreNumbersOrStringsOfThem() throws Exception {
    assertThat(read("{\"expires_in\":3600}").count("expires_in")).isEqualTo(Optional.of(3600L));
    assertThat(read("{\"expires_in\":\"3599\" }").count("expires_in"))
        .isEqualTo(Optional.of(3599L));
    assertThat(read("{\"expires_in\" : 0\n}").count("expires_in")).isEqualTo(Optional.of(0L));
    assertThat(read("{}").count("expires_in")).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "-1",
        "1.5",
        "1e3",
        "null",
        "true",
        "\"\"",
        "\"-1\"",
        "\"1 \"",
        "[1]",
        "1234567890123"
      })
  void whatIsNoCountIsRefused(String count) throws Exception {
    JsonMembers members = read("{\"expires_in\":" + count + "}");
    assertThatThrownBy(() -> members.count("expires_in"))
        .isInstanceOf(JsonMembers.MalformedException.class);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "1",
        "null",
        "[\"a\"]",
        "\"a b\"",
        "\"a\\n\"",
        "\"\\u0000\"",
        "\"ü\"",
        "\"\\u00e9\""
      })
  void whatIsNoVisibleAsciiIsNoValue(String value) throws Exception {
    JsonMembers members = read("{\"access_token\":" + value + "}");
    assertThatThrownBy(() -> members.value("access_token"))
        .isInstanceOf(JsonMembers.MalformedException.class);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "{",
        "[]",
        "\"access_token\"",
        "null",
        "{}{}",
        "{} x",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{\"a\":1 \"b\":2}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":+1}",
        "{\"a\":tru}",
        "{\"a\":[1,]}",
        "{\"a\":\"\t\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12g4\"}",
        "{\"access_token\":\"abc",
        "{\"access_token\":\"a\",\"access_token\":\"b\"}",
        "{\"access_token\":\"a\",\"access\\u005ftoken\":\"b\"}",
        "\ufeff{}",
      })
  void whatIsNoObjectOfJsonIsRefused(String text) {
    assertThatThrownBy(() -> read(text)).isInstanceOf(JsonMembers.MalformedException.class);
  }

  @Test
  void whatIsNestedTooDeepIsRefused() throws Exception {
    assertThat(token("{\"a\":" + "[".repeat(30) + "]".repeat(30) + ",\"access_token\":\"abc\"}"))
        .isEqualTo("abc");
    assertThatThrownBy(() -> read("{\"a\":" + "[".repeat(60_000)))
        .isInstanceOf(JsonMembers.MalformedException.class)
        .hasMessageContaining("too deep");
  }
}
