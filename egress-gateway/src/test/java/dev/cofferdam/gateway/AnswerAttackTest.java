package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.Verdict;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Servers that give back what they were sent, or lead elsewhere. */
final class AnswerAttackTest extends AttackSuite {
  @AttackRow({18, 19})
  @ParameterizedTest
  @ValueSource(
      strings = {"/echo", "/base64", "/hex", "/percent", "/header", "/trailer", "/bytes", "/gzip"})
  void anEchoGivesThePlaceholderNeverTheValue(String path) throws Exception {
    Answer answer =
        ask(
            "GET "
                + path
                + " HTTP/1.1\r\n"
                + HOST
                + "Accept-Encoding: gzip, br\r\n"
                + "Authorization: Bearer "
                + Harness.PLACEHOLDER
                + "\r\n\r\n");

    assertThat(answer.status()).isEqualTo(200);
    assertThat(harness.upstream.received.getFirst().header("authorization"))
        .isEqualTo("Bearer " + Harness.VALUE);
    assertThat(harness.upstream.received.getFirst().header("accept-encoding"))
        .isEqualTo("gzip, identity");
    byte[] value = Harness.VALUE.getBytes(StandardCharsets.US_ASCII);
    assertThat(answer.head() + answer.body())
        .contains(Harness.PLACEHOLDER)
        .doesNotContain(Harness.VALUE)
        .doesNotContain(HexFormat.of().formatHex(value))
        .doesNotContain(Base64.getEncoder().encodeToString(value).substring(4, 30));
  }

  @AttackRow(19)
  @ParameterizedTest
  @ValueSource(
      strings = {
        "Range: bytes=0-1",
        "range: bytes=-1",
        "If-Range: x",
        "Request-Range: bytes=0-1",
        "X-MS-Range: bytes=0-1"
      })
  void rangeIsRefusedWithASecret(String header) throws Exception {
    refused(
        ask(
            "GET / HTTP/1.1\r\n"
                + HOST
                + header
                + "\r\nAuthorization: Bearer "
                + Harness.PLACEHOLDER
                + "\r\n\r\n"),
        403,
        "range_with_secret");
  }

  @AttackRow(19)
  @Test
  void anAnswerInAnEncodingThatWasNotAskedForIsNotGivenOn() throws Exception {
    Answer answer =
        ask(
            "GET /br HTTP/1.1\r\n"
                + HOST
                + "Authorization: Bearer "
                + Harness.PLACEHOLDER
                + "\r\n\r\n");

    assertThat(answer.status()).isEqualTo(502);
  }

  static List<String> transforms() {
    String credential = "Bearer " + Harness.VALUE;
    return List.of(
        "/reversed|" + new StringBuilder(credential).reverse(),
        "/rot13|" + TestUpstream.rot13(credential),
        "/spaced|" + String.join(" ", credential.split("", -1)).strip());
  }

  /**
   * The documented limit: what a server does to a value on purpose is not undone. What holds is
   * that only a bound host gets it, and that each use is on record with host, method and path.
   */
  @AttackRow(20)
  @ParameterizedTest
  @MethodSource("transforms")
  void anArbitraryTransformComesThroughAndIsOnRecord(String pathAndBody) throws Exception {
    String[] parts = pathAndBody.split("\\|", 2);

    Answer answer = ask(get(parts[0], BEARER));

    assertThat(answer.body()).contains(parts[1]);
    assertThat(harness.broker.materialised).hasSize(1);
    assertThat(harness.broker.materialised.getFirst().getPath()).isEqualTo(parts[0]);
    AuditEvent event = harness.broker.event(e -> e.getPath().equals(parts[0]));
    assertThat(event.getVerdict()).isEqualTo(Verdict.VERDICT_ALLOWED);
    assertThat(event.getHost()).isEqualTo("api.example.test");
    assertThat(event.getSecret()).isEqualTo("api-key");
  }

  @AttackRow(22)
  @ParameterizedTest
  @ValueSource(
      strings = {
        "https://evil.example.test/",
        "http://api.example.test/",
        "https://api.example.test:444/",
        "//evil.example.test/"
      })
  void aRedirectIsNotFollowed(String location) throws Exception {
    Answer answer = ask(get("/redirect?" + location, BEARER));

    assertThat(answer.status()).isEqualTo(302);
    assertThat(answer.header("location")).contains(location);
    assertThat(harness.upstream.received).hasSize(1);
    assertThat(harness.broker.materialised).hasSize(1);
  }

  /** What a client that follows a redirect with its headers sends next. */
  @AttackRow(22)
  @Test
  void whoFollowsARedirectIsJudgedAfresh() throws Exception {
    refused(inCleartext(get("/", BEARER)), 403, "placeholder_cleartext");
    try (RawGuest guest = harness.guest().tls("other.example.test")) {
      guest.send("GET / HTTP/1.1\r\nHost: other.example.test\r\n" + BEARER + "\r\n");
      refused(guest.answer(), 403, "placeholder_host_not_bound");
    }
    refused(
        ask("GET / HTTP/1.1\r\nHost: api.example.test:444\r\n" + BEARER + "\r\n"),
        421,
        "host_mismatch");
  }

  /** What came in a few pieces leaves in many, each as the guest takes it, with no more to come. */
  @Test
  void onePackedThatIsAThousandTimesAsLongIsGivenWhole() throws Exception {
    Answer answer =
        ask(
            "GET /long-gzip HTTP/1.1\r\n"
                + HOST
                + "Authorization: Bearer "
                + Harness.PLACEHOLDER
                + "\r\n\r\n");

    assertThat(answer.status()).isEqualTo(200);
    assertThat(answer.body().chars().filter(c -> c == 0)).hasSize(4 << 20);
  }

  @AttackRow(54)
  @ParameterizedTest
  @ValueSource(strings = {"/echo", "/header", "/trailer", "/bytes", "/gzip", "/hex", "/base64"})
  void anAnswerWithAWeakValueIsBlockedWhole(String path) throws Exception {
    Answer answer =
        ask(
            "GET "
                + path
                + " HTTP/1.1\r\n"
                + HOST
                + "Authorization: Bearer "
                + Harness.WEAK
                + "\r\n\r\n");

    assertThat(answer.status()).isEqualTo(502);
    assertThat(answer.reason()).isEqualTo("weak_value_in_answer");
    assertThat(answer.body()).doesNotContain("short");
  }
}
