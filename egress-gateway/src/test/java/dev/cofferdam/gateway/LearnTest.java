package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.gateway.dns.DnsAnswers;
import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.DataDetector;
import dev.cofferdam.v1.DataRule;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.HttpMatch;
import dev.cofferdam.v1.PolicyMode;
import dev.cofferdam.v1.RuleAction;
import dev.cofferdam.v1.Verdict;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Mode LEARN, and what a guest might make of it. */
final class LearnTest {
  @TempDir private Path directory = Path.of("unset");
  private Harness harness;

  @SuppressWarnings("NullAway.Init") // before each test
  LearnTest() {}

  @BeforeEach
  void start() throws Exception {
    harness = new Harness(directory, /* http2= */ false);
    learn();
  }

  private void learn(EgressRule... rules) throws Exception {
    mode(PolicyMode.POLICY_MODE_LEARN, rules);
  }

  private void mode(PolicyMode mode, EgressRule... rules) throws Exception {
    harness.apply(
        Harness.attachment(harness.port)
            .setPolicyRevision(++revision)
            .setPolicy(
                EgressPolicy.newBuilder().setMode(mode).addAllRules(java.util.List.of(rules)))
            .build());
  }

  private long revision = 1;

  @AfterEach
  void stop() throws Exception {
    harness.close();
  }

  private Answer ask(String host, String request) throws Exception {
    try (RawGuest guest = harness.guest().tls(host)) {
      return guest.send(request).answer();
    }
  }

  private static String get(String host, String... headers) {
    return "GET /some/path?key=value HTTP/1.1\r\nHost: "
        + host
        + "\r\n"
        + String.join("", java.util.Arrays.stream(headers).map(h -> h + "\r\n").toList())
        + "\r\n";
  }

  @Test
  void whatNoRuleMatchesIsLetThroughAndRecorded() throws Exception {
    assertThat(ask("other.example.test", get("other.example.test")).status()).isEqualTo(200);

    AuditEvent event = harness.broker.event(e -> e.getHost().equals("other.example.test"));
    assertThat(event.getVerdict()).isEqualTo(Verdict.VERDICT_ALLOWED);
    assertThat(event.getLearning()).isTrue();
    assertThat(event.getLearned()).isTrue();
    assertThat(event.getMethod()).isEqualTo("GET");
    assertThat(event.getPath()).isEqualTo("/some/path");
    assertThat(event.getPort()).isEqualTo(harness.port);
    assertThat(event.getStatus()).isEqualTo(200);
  }

  @Test
  void whatARuleLetsThroughIsNotLearned() throws Exception {
    learn(Harness.rule("api.example.test", harness.port));
    assertThat(ask("api.example.test", get("api.example.test")).status()).isEqualTo(200);
    AuditEvent event = harness.broker.event(e -> e.getHost().equals("api.example.test"));
    assertThat(event.getLearning()).isTrue();
    assertThat(event.getLearned()).isFalse();
  }

  /** What no rule matches may be learned, but not with what may leave nowhere. */
  @AttackRow(56)
  @Test
  void dataRulesHold() throws Exception {
    harness.apply(
        Harness.attachment(harness.port)
            .setPolicyRevision(++revision)
            .setPolicy(
                EgressPolicy.newBuilder()
                    .setMode(PolicyMode.POLICY_MODE_LEARN)
                    .addData(
                        DataRule.newBuilder()
                            .addDetectors(DataDetector.DATA_DETECTOR_EMAIL_ADDRESSES)))
            .build());
    String request = get("other.example.test").replace("key=value", "to=jane.doe@example.com");
    assertThat(ask("other.example.test", request).reason()).isEqualTo("data_not_allowed");
    assertThat(harness.upstream.received).isEmpty();
    assertThat(ask("other.example.test", get("other.example.test")).status()).isEqualTo(200);
  }

  @Test
  void aRuleThatDeniesStillDoes() throws Exception {
    learn(
        EgressRule.newBuilder()
            .setHost("api.example.test")
            .addPorts(harness.port)
            .setAction(RuleAction.RULE_ACTION_DENY)
            .setHttp(HttpMatch.newBuilder().addPaths("/admin/**"))
            .build());
    Answer refused =
        ask("api.example.test", get("api.example.test").replace("/some/path", "/admin/x"));
    assertThat(refused.reason()).isEqualTo("request_not_allowed");
    assertThat(ask("api.example.test", get("api.example.test")).status()).isEqualTo(200);
    // What could be read as what is denied is not let through for being no match.
    assertThat(
            ask("api.example.test", get("api.example.test").replace("/some/path", "/a/../admin/x"))
                .reason())
        .isEqualTo("request_ambiguous");
    assertThat(harness.upstream.received).hasSize(1);
  }

  /** The one thing that must not happen while nobody has said yet where things may go. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "Authorization: Bearer %s",
        "X-Api-Key: %s",
        "User-Agent: %s",
        "Cookie: a=%s",
        "X-Anything: %s"
      })
  void noPlaceholderLeavesAndNoSecretIsUsed(String header) throws Exception {
    for (String host : java.util.List.of("api.example.test", "other.example.test")) {
      Answer refused = ask(host, get(host, header.formatted(Harness.PLACEHOLDER)));
      assertThat(refused.status()).isEqualTo(403);
    }
    assertThat(harness.broker.materialised).isEmpty();
    assertThat(harness.upstream.received).isEmpty();
  }

  @Test
  void aRequestThatNeedsASecretSaysWhichInItsEvent() throws Exception {
    Answer refused =
        ask(
            "api.example.test",
            get("api.example.test", "Authorization: Bearer " + Harness.PLACEHOLDER));
    assertThat(refused.status()).isEqualTo(403);
    assertThat(refused.reason()).isEqualTo("learning");
    AuditEvent event =
        harness.broker.event(e -> e.getReason() == EgressReason.EGRESS_REASON_LEARNING);
    assertThat(event.getSecret()).isEqualTo("api-key");
    assertThat(event.getLearned()).isTrue();
    assertThat(event.toString()).doesNotContain(Harness.PLACEHOLDER);
  }

  /** Not even under a rule that would let it through in mode ENFORCE. */
  @Test
  void noSecretIsUsedUnderARuleEither() throws Exception {
    learn(Harness.rule("api.example.test", harness.port));
    String request = get("api.example.test", "Authorization: Bearer " + Harness.PLACEHOLDER);
    assertThat(ask("api.example.test", request).reason()).isEqualTo("learning");
    assertThat(harness.broker.materialised).isEmpty();

    mode(PolicyMode.POLICY_MODE_ENFORCE, Harness.rule("api.example.test", harness.port));
    assertThat(ask("api.example.test", request).status()).isEqualTo(200);
    assertThat(harness.broker.materialised).hasSize(1);
  }

  @ParameterizedTest
  @ValueSource(strings = {"text/plain", "application/json", "application/x-www-form-urlencoded"})
  void noPlaceholderLeavesInABody(String type) throws Exception {
    String body = "{\"a\": \"" + Harness.PLACEHOLDER + "\"}";
    Answer refused =
        ask(
            "other.example.test",
            "POST / HTTP/1.1\r\nHost: other.example.test\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s"
                .formatted(type, body.getBytes(StandardCharsets.UTF_8).length, body));
    assertThat(refused.status()).isEqualTo(403);
    assertThat(harness.broker.materialised).isEmpty();
    assertThat(harness.upstream.received).isEmpty();
  }

  /**
   * By name: the harness has no resolver, so what leads there is pinned, which is no consent here.
   */
  @Test
  void theMeshStaysShut() throws Exception {
    int mesh = harness.listen("127.0.0.1", 7410);
    try (RawGuest guest =
        new RawGuest(
                Harness.SLOT, new java.net.InetSocketAddress("127.0.0.1", mesh), harness.lineage)
            .tls("mesh.example.test")) {
      assertThat(guest.send(get("mesh.example.test:7410")).answer().reason())
          .isEqualTo("private_address");
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"169.254.169.254", "10.0.0.1", "127.0.0.1", "[::1]"})
  void anAddressIsNoName(String address) throws Exception {
    harness.asked.set(InetAddress.getByName("169.254.169.254"));
    try (RawGuest guest = harness.guest()) {
      assertThat(guest.send("GET / HTTP/1.1\r\nHost: " + address + "\r\n\r\n").answer().reason())
          .isEqualTo("address_not_allowed");
    }
    assertThat(harness.upstream.received).isEmpty();
  }

  @Test
  void whatIsNeitherTlsNorHttpIsRefused() throws Exception {
    try (RawGuest guest = harness.guest()) {
      guest.send("\0\1\2\3 not a protocol that could be looked into");
      AuditEvent event =
          harness.broker.event(
              e -> e.getReason() == EgressReason.EGRESS_REASON_PROTOCOL_NOT_ALLOWED);
      assertThat(event.getLearning()).isTrue();
    }
  }

  @Test
  void backInModeEnforceWhatWasLearnedIsOver() throws Exception {
    try (RawGuest guest = harness.guest().tls("other.example.test")) {
      assertThat(guest.send(get("other.example.test")).answer().status()).isEqualTo(200);
      mode(PolicyMode.POLICY_MODE_ENFORCE, Harness.rule("api.example.test", harness.port));
      assertThat(guest.closed()).isTrue();
    }
  }

  /** Asking for names without end must not use up the addresses of the lineage. */
  @Test
  void namesAreBounded() throws Exception {
    var slot = harness.slots.at(InetAddress.getByName(Harness.SLOT)).orElseThrow();
    for (int i = 0; i < DnsAnswers.MAX_LEARNED_NAMES; i++) {
      assertThat(
              slot.names().addressOf(name("n" + i + ".example.com"), DnsAnswers.MAX_LEARNED_NAMES))
          .isPresent();
    }
    assertThat(slot.names().addressOf(name("one-more.example.com"), DnsAnswers.MAX_LEARNED_NAMES))
        .isEmpty();
    assertThat(slot.names().addressOf(name("n0.example.com"), DnsAnswers.MAX_LEARNED_NAMES))
        .isPresent();
    // Names of rules are not taken away by it.
    assertThat(slot.names().addressOf(name("of-a-rule.example.com"))).isPresent();
  }

  private static Host.Name name(String text) {
    return (Host.Name) Host.parse(text).orElseThrow();
  }
}
