package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Placeholders where they may not stand, too often, or of somebody else. */
final class PlaceholderAttackTest extends AttackSuite {
  @AttackRow(6)
  @ParameterizedTest
  @MethodSource("targets")
  void cleartextNeverCarriesASecret(String header) throws Exception {
    refused(inCleartext(get("/", header)), 403, "placeholder_cleartext");
  }

  static List<String> targets() {
    return List.of(
        BEARER,
        "X-Api-Key: " + Harness.PLACEHOLDER + "\r\n",
        "Authorization: Basic " + base64("user:" + Harness.PLACEHOLDER) + "\r\n");
  }

  @AttackRow(17)
  @ParameterizedTest
  @ValueSource(
      strings = {
        "User-Agent",
        "Origin",
        "Referer",
        "Sec-WebSocket-Protocol",
        "Idempotency-Key",
        "Cookie",
        "X-Forwarded-For"
      })
  void aPlaceholderInAnotherHeader(String header) throws Exception {
    refused(
        ask("GET / HTTP/1.1\r\n" + HOST + header + ": " + Harness.PLACEHOLDER + "\r\n\r\n"),
        403,
        "placeholder_outside_target");
  }

  @AttackRow(17)
  @ParameterizedTest
  @ValueSource(strings = {"/%s", "/?q=%s", "/a?%s=1"})
  void aPlaceholderInTheTarget(String target) throws Exception {
    refused(
        ask("GET " + target.formatted(Harness.PLACEHOLDER) + " HTTP/1.1\r\n" + HOST + "\r\n"),
        403,
        "placeholder_outside_target");
  }

  @AttackRow(21)
  @Test
  void thePlaceholderTwiceInOneTarget() throws Exception {
    refused(
        ask(
            "GET / HTTP/1.1\r\n"
                + HOST
                + "Authorization: "
                + Harness.PLACEHOLDER
                + " "
                + Harness.PLACEHOLDER
                + "\r\n\r\n"),
        403,
        "placeholder_too_often");
  }

  @AttackRow(21)
  @ParameterizedTest
  @ValueSource(strings = {"Authorization", "authorization"})
  void thePlaceholderInTwoHeadersOfOneName(String name) throws Exception {
    refused(
        ask(get("/", BEARER + name + ": " + Harness.PLACEHOLDER + "\r\n")),
        403,
        "placeholder_too_often");
  }

  /** A letter more or before makes it something else, into which no value may be put. */
  @AttackRow(21)
  @ParameterizedTest
  @ValueSource(strings = {"%sx", "x%s", "%1$s%1$s"})
  void whatOnlyContainsThePlaceholder(String text) throws Exception {
    Answer answer = ask(get("/", "Authorization: " + text.formatted(Harness.PLACEHOLDER) + "\r\n"));

    assertThat(answer.status()).isEqualTo(403);
    nothingLeft();
  }

  /** No part of a value is ever given for a part of its placeholder. */
  @AttackRow(21)
  @ParameterizedTest
  @ValueSource(ints = {10, 30, 52})
  void aPartOfThePlaceholderIsOrdinaryText(int length) throws Exception {
    String part = Harness.PLACEHOLDER.substring(0, length);

    assertThat(ask(get("/", "Authorization: Bearer " + part + "\r\n")).status()).isEqualTo(200);

    assertThat(harness.broker.materialised).isEmpty();
    assertThat(harness.upstream.received.getFirst().header("authorization"))
        .isEqualTo("Bearer " + part);
  }

  @AttackRow(36)
  @Test
  void aPlaceholderThatWasNotGrantedHere() throws Exception {
    String foreign = "cofferdam_" + "Q".repeat(43);
    refused(
        ask("GET / HTTP/1.1\r\n" + HOST + "Authorization: Bearer " + foreign + "\r\n\r\n"),
        403,
        "placeholder_foreign");
  }

  @AttackRow(37)
  @ParameterizedTest
  @ValueSource(strings = {"Authorization: Bearer %s", "X-Api-Key: %s", "User-Agent: %s"})
  void aPlaceholderSentToTheHostOfAnother(String header) throws Exception {
    refused(
        ask("GET / HTTP/1.1\r\n" + HOST + header.formatted(Harness.OTHER) + "\r\n\r\n"),
        403,
        "placeholder_host_not_bound");
  }

  @AttackRow(37)
  @Test
  void theSameTheOtherWayRound() throws Exception {
    try (RawGuest guest = harness.guest().tls("other.example.test")) {
      guest.send("GET / HTTP/1.1\r\nHost: other.example.test\r\n" + BEARER + "\r\n");
      refused(guest.answer(), 403, "placeholder_host_not_bound");
    }
  }
}
