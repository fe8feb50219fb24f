package dev.cofferdam.broker.policy;

import static dev.cofferdam.broker.Refused.assertRefused;
import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.v1.ErrorReason;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class HostPatternTest {
  @ParameterizedTest
  @ValueSource(
      strings = {
        "api.example.com",
        "localhost",
        "a-b.example.com",
        "xn--bcher-kva.example",
        "*.example.com",
        "*.a.b.example.co.uk",
        "github.io",
        "*.someone.github.io",
        "1password.com",
        "123.example.com"
      })
  void canonicalNamesAreTakenAsTheyAre(String text) {
    assertThat(HostPattern.parse(text)).hasToString(text);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "*",
        "*.",
        "*.*",
        "**.example.com",
        "api.*.com",
        "a.b.*",
        "*api.example.com",
        "api.example.com.",
        "*.example.com.",
        ".example.com",
        "api..example.com",
        "API.example.com",
        "bücher.example",
        "аpi.example.com",
        "api_v1.example.com",
        "-api.example.com",
        "api-.example.com",
        "api.example.com:443",
        "https://api.example.com",
        "api.example.com/path",
        "user@api.example.com",
        "api.example.com\n",
        "api.example.com ",
        "203.0.113.7",
        "0x7f.1",
        "2130706433",
        "017700000001",
        "example.0x1",
        "[::1]",
        "::1",
        "*.203.0.113",
        "*.foo.1com",
        "*.a.b.0x"
      })
  void everythingElseIsRefused(String text) {
    assertRefused(() -> HostPattern.parse(text), ErrorReason.ERROR_REASON_HOST_PATTERN_INVALID);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "*.com",
        "*.co.uk",
        "*.github.io",
        "*.s3.amazonaws.com",
        "*.ck",
        "*.kawasaki.jp",
        "*.internal",
        "*.xn--p1ai"
      })
  void wildcardsOnPublicSuffixesAreRefused(String text) {
    assertRefused(() -> HostPattern.parse(text), ErrorReason.ERROR_REASON_HOST_PATTERN_INVALID);
  }

  @Test
  void labelsAndNamesHaveTheirLengths() {
    String label = "a".repeat(63);
    assertThat(HostPattern.parse(label + ".example.com").name()).hasSize(75);
    assertRefused(
        () -> HostPattern.parse("a" + label + ".example.com"),
        ErrorReason.ERROR_REASON_HOST_PATTERN_INVALID);
    String name = (label + ".").repeat(3) + "a".repeat(61);
    assertThat(HostPattern.parse(name).name()).hasSize(253);
    assertRefused(
        () -> HostPattern.parse(name + "a"), ErrorReason.ERROR_REASON_HOST_PATTERN_INVALID);
  }

  @ParameterizedTest
  @CsvSource({
    "api.example.com, api.example.com, true",
    "api.example.com, v1.api.example.com, false",
    "api.example.com, evil-api.example.com, false",
    "api.example.com, api.example.com.evil.com, false",
    "*.example.com, a.example.com, true",
    "*.example.com, a.b.example.com, true",
    "*.example.com, example.com, false",
    "*.example.com, evilexample.com, false",
    "*.example.com, .example.com, false",
    "*.example.com, a..example.com, false",
    "*.example.com, A.example.com, false"
  })
  void matchingIsAnchoredAtLabels(String pattern, String host, boolean expected) {
    assertThat(HostPattern.parse(pattern).matches(host)).isEqualTo(expected);
  }

  @ParameterizedTest
  @CsvSource({
    "*.example.com, a.example.com, true",
    "*.example.com, *.example.com, true",
    "*.example.com, *.a.example.com, true",
    "*.a.example.com, *.example.com, false",
    "*.example.com, example.com, false",
    "a.example.com, *.example.com, false",
    "a.example.com, a.example.com, true"
  })
  void containingIsOfSets(String outer, String inner, boolean expected) {
    assertThat(HostPattern.parse(outer).contains(HostPattern.parse(inner))).isEqualTo(expected);
  }
}
