package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.HttpMatch;
import dev.cofferdam.v1.RuleAction;
import dev.cofferdam.v1.Verdict;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Rules on single requests, over real connections. */
final class RequestRulesTest {
  @TempDir private Path directory = Path.of("unset");
  private Harness harness;

  @SuppressWarnings("NullAway.Init") // in each test
  RequestRulesTest() {}

  private void start(boolean http2, EgressRule.Builder... rules) throws Exception {
    harness = new Harness(directory, http2);
    policy(rules);
  }

  private void policy(EgressRule.Builder... rules) throws Exception {
    harness.policy(
        List.of(rules).stream()
            .map(rule -> rule.addPorts(harness.port).build())
            .toArray(EgressRule[]::new));
  }

  @AfterEach
  void stop() throws Exception {
    harness.close();
  }

  private static EgressRule.Builder api(HttpMatch.Builder match) {
    return EgressRule.newBuilder().setHost("api.example.test").setHttp(match);
  }

  private static EgressRule.Builder methods(String... methods) {
    return api(HttpMatch.newBuilder().addAllMethods(List.of(methods)));
  }

  private static String request(String line, String... headers) {
    return line
        + " HTTP/1.1\r\nHost: api.example.test\r\n"
        + String.join("", List.of(headers).stream().map(h -> h + "\r\n").toList())
        + "\r\n";
  }

  private Answer ask(String request) throws Exception {
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      return guest.send(request).answer();
    }
  }

  @Test
  void eachRequestOfAConnectionIsJudgedByItself() throws Exception {
    start(/* http2= */ false, methods("GET"));
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      assertThat(guest.send(request("GET /a")).answer().status()).isEqualTo(200);
      Answer refused = guest.send(request("DELETE /b")).answer();
      assertThat(refused.status()).isEqualTo(403);
      assertThat(refused.reason()).isEqualTo("request_not_allowed");
      // Nothing of it is left unread: it does not cost the connection, not even those behind it.
      guest.send(request("DELETE /c") + request("GET /d") + request("DELETE /e"));
      assertThat(guest.answer().status()).isEqualTo(403);
      assertThat(guest.answer().status()).isEqualTo(200);
      assertThat(guest.answer().status()).isEqualTo(403);
      // Of this one a body is left, of any length.
      Answer last =
          guest
              .send("DELETE /f HTTP/1.1\r\nHost: api.example.test\r\nContent-Length: 9\r\n\r\n")
              .answer();
      assertThat(last.header("connection")).contains("close");
    }
    assertThat(harness.upstream.received).extracting(r -> r.uri()).containsExactly("/a", "/d");
    AuditEvent event = harness.broker.event(e -> e.getPath().equals("/b"));
    assertThat(event.getVerdict()).isEqualTo(Verdict.VERDICT_DENIED);
    assertThat(event.getReason()).isEqualTo(EgressReason.EGRESS_REASON_REQUEST_NOT_ALLOWED);
    assertThat(event.getStatus()).isEqualTo(403);
  }

  @Test
  void theSameInHttp2() throws Exception {
    start(/* http2= */ true, methods("POST"), api(HttpMatch.newBuilder().addPaths("/ok/**")));
    try (Http2Guest guest = new Http2Guest(harness, "api.example.test")) {
      assertThat(guest.body("api.example.test", "/ok/a", Map.of())).contains("/ok/a");
      assertThat(guest.body("api.example.test", "/no/a", Map.of())).contains("request_not_allowed");
      assertThat(guest.body("api.example.test", "/ok/../no", Map.of()))
          .contains("request_ambiguous");
    }
    assertThat(harness.upstream.received).hasSize(1);
  }

  /** A request that is refused for what it is uses no secret. */
  @Test
  void noSecretIsAskedForWhereTheRequestIsRefused() throws Exception {
    start(/* http2= */ false, methods("GET"));

    Answer refused = ask(request("PUT /", "Authorization: Bearer " + Harness.PLACEHOLDER));

    assertThat(refused.reason()).isEqualTo("request_not_allowed");
    assertThat(harness.broker.materialised).isEmpty();
    assertThat(ask(request("GET /", "Authorization: Bearer " + Harness.PLACEHOLDER)).status())
        .isEqualTo(200);
    assertThat(harness.broker.materialised).hasSize(1);
  }

  /** What is named in Connection stays behind, so it must not have satisfied a condition. */
  @Test
  void aHeaderThatIsNotSentOnIsNotThere() throws Exception {
    start(
        /* http2= */ false,
        api(
            HttpMatch.newBuilder()
                .setWhen("'x-team' in request.headers && request.headers['x-team'] == 'red'")));

    assertThat(ask(request("GET /", "X-Team: red")).status()).isEqualTo(200);
    assertThat(ask(request("GET /", "X-Team: red", "Connection: x-team")).reason())
        .isEqualTo("request_not_allowed");
    assertThat(ask(request("GET /", "X-Team: red", "X-Team: blue")).reason())
        .isEqualTo("request_not_allowed");
  }

  @Test
  void whatServersReadDifferentlyIsRefusedAsSuch() throws Exception {
    start(
        /* http2= */ false,
        api(HttpMatch.newBuilder().addPaths("/admin/**")).setAction(RuleAction.RULE_ACTION_DENY),
        EgressRule.newBuilder().setHost("api.example.test"));

    for (String path :
        List.of("/a/../admin", "/%61dmin;x", "/a%2f..%2fadmin", "//admin", "/a\\..\\admin")) {
      Answer refused = ask(request("GET " + path));
      assertThat(refused.status()).as(path).isEqualTo(400);
      assertThat(refused.reason()).as(path).isEqualTo("request_ambiguous");
    }
    assertThat(ask(request("GET /%61dmin/x")).reason()).isEqualTo("request_not_allowed");
    assertThat(ask(request("GET /admin/")).reason()).isEqualTo("request_not_allowed");
    assertThat(harness.upstream.received).isEmpty();
    assertThat(ask(request("GET /administrators")).status()).isEqualTo(200);
  }

  @Test
  void aBodyWhoseLengthIsTooMuchIsRefusedBeforeAnythingIsSent() throws Exception {
    start(/* http2= */ false, methods("POST").setMaxRequestBytes(1000));
    // What told which protocol the upstream speaks.
    assertThat(ask(request("POST /fits", "Content-Length: 3") + "abc").status()).isEqualTo(200);

    Answer refused = ask(request("POST /", "Content-Length: 1001", "Expect: 100-continue"));

    assertThat(refused.status()).isEqualTo(413);
    assertThat(refused.reason()).isEqualTo("body_too_large");
    assertThat(harness.upstream.received).extracting(r -> r.uri()).containsExactly("/fits");
    assertThat(ask(request("POST /most", "Content-Length: 1000") + "x".repeat(1000)).status())
        .isEqualTo(200);
  }

  @Test
  void aBodyWithoutALengthIsCutOff() throws Exception {
    start(/* http2= */ false, methods("POST").setMaxRequestBytes(300_000));
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      guest.send(request("POST /", "Transfer-Encoding: chunked"));
      String chunk = "10000\r\n" + "x".repeat(0x10000) + "\r\n";
      // More than is kept back before the upstream is called: some of it has been sent.
      Answer refused = guest.send(chunk.repeat(4)).send(chunk).answer();
      assertThat(refused.status()).isEqualTo(413);
    }
    // An aggregate is received whole or not at all.
    assertThat(harness.upstream.received).isEmpty();
    AuditEvent event = harness.broker.event(e -> e.getMethod().equals("POST"));
    assertThat(event.getReason()).isEqualTo(EgressReason.EGRESS_REASON_BODY_TOO_LARGE);
    assertThat(event.getBytesOut()).isLessThanOrEqualTo(300_000);
  }

  @Test
  void aDowngradedRequestIsAStrangers() throws Exception {
    start(
        /* http2= */ false,
        methods("POST"),
        EgressRule.newBuilder()
            .setHost("api.example.test")
            .setAction(RuleAction.RULE_ACTION_DOWNGRADE));

    Answer answer =
        ask(
            request(
                "GET /cookie",
                "Authorization: Bearer " + Harness.PLACEHOLDER,
                "X-Anything: " + Harness.OTHER,
                "Cookie: session=1",
                "COOKIE: more=2",
                "X-Api-Key: guests-own",
                "Private-Token: guests-own",
                "X-Csrf-Token: guests-own",
                "Accept: text/plain"));

    assertThat(answer.status()).isEqualTo(200);
    assertThat(answer.header("set-cookie")).isEmpty();
    assertThat(harness.broker.materialised).isEmpty();
    assertThat(harness.upstream.received.getFirst().headers())
        .containsEntry("accept", "text/plain")
        .doesNotContainKeys(
            "authorization", "x-anything", "cookie", "x-api-key", "private-token", "x-csrf-token");
    AuditEvent event = harness.broker.event(e -> e.getPath().equals("/cookie"));
    assertThat(event.getDowngraded()).isTrue();
    assertThat(event.getVerdict()).isEqualTo(Verdict.VERDICT_ALLOWED);
    // Elsewhere than in a header a placeholder is refused as ever, and an allowed request is whole.
    assertThat(ask(request("GET /?k=" + Harness.PLACEHOLDER)).reason())
        .isEqualTo("placeholder_outside_target");
    assertThat(
            ask(request(
                    "POST /cookie",
                    "Authorization: Bearer " + Harness.PLACEHOLDER,
                    "Cookie: a=b",
                    "Content-Length: 0"))
                .header("set-cookie"))
        .isPresent();
    assertThat(harness.upstream.received.getLast().headers())
        .containsEntry("cookie", "a=b")
        .containsEntry("authorization", "Bearer " + Harness.VALUE);
  }

  /** Where a binding has a target outside of headers too. */
  @Test
  void aDowngradedRequestUsesNoSecretInItsQueryOrBody() throws Exception {
    harness = new Harness(directory, /* http2= */ false);
    var attachment =
        Harness.attachment(harness.port)
            .setPolicyRevision(2)
            .setPolicy(
                EgressPolicy.newBuilder()
                    .addRules(
                        EgressRule.newBuilder()
                            .setHost("api.example.test")
                            .addPorts(harness.port)
                            .setAction(RuleAction.RULE_ACTION_DOWNGRADE)));
    attachment
        .getSecretsBuilder(0)
        .getBindingsBuilder(0)
        .addTargets("query:k")
        .addTargets("form:k");
    harness.apply(attachment.build());

    String field = "k=" + Harness.PLACEHOLDER;
    assertThat(ask(request("GET /?" + field)).reason()).isEqualTo("placeholder_outside_target");
    assertThat(
            ask(request(
                        "POST /",
                        "Content-Type: application/x-www-form-urlencoded",
                        "Content-Length: " + field.length())
                    + field)
                .reason())
        .isEqualTo("placeholder_outside_target");
    assertThat(harness.broker.materialised).isEmpty();
    assertThat(harness.upstream.received).isEmpty();
  }

  /** An answer may go on for hours; an update that refuses its request ends it. */
  @Test
  void aRequestUnderWayEndsWhenAnUpdateRefusesIt() throws Exception {
    start(/* http2= */ false, methods("GET"));
    try (RawGuest stays = harness.guest().tls("api.example.test");
        RawGuest ends = harness.guest().tls("api.example.test")) {
      stays.send(request("GET /stall")).until("line\n");
      ends.send(request("GET /stall", "X-Why: this")).until("line\n");

      policy(api(HttpMatch.newBuilder().setWhen("!('x-why' in request.headers)")));

      assertThat(ends.hungUpOn()).isTrue();
      AuditEvent event = harness.broker.event(e -> e.getPath().equals("/stall"));
      assertThat(event.getReason()).isEqualTo(EgressReason.EGRESS_REASON_REQUEST_NOT_ALLOWED);
      policy(EgressRule.newBuilder().setHost("other.example.test"));
      assertThat(stays.hungUpOn()).isTrue();
    }
  }
}
