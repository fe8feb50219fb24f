package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.Verdict;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Base64;
import java.util.Optional;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The main job over HTTP/1.1: allow, deny, put in, take out. */
final class ProxyTest {
  private static Harness harness;

  @BeforeAll
  static void start(@TempDir Path directory) throws Exception {
    harness = new Harness(directory, false);
  }

  @AfterAll
  static void stop() throws Exception {
    harness.close();
  }

  @BeforeEach
  void forget() {
    harness.upstream.received.clear();
    harness.broker.materialised.clear();
    harness.broker.events.clear();
  }

  private static Answer get(String path, String... headers) throws Exception {
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      StringBuilder lines = new StringBuilder();
      for (String header : headers) {
        lines.append(header).append("\r\n");
      }
      return guest
          .send("GET " + path + " HTTP/1.1\r\nHost: api.example.test\r\n" + lines + "\r\n")
          .answer();
    }
  }

  @Test
  void anAllowedRequestPassesWithoutTheBrokerAndIsRecordedWithoutItsQuery() throws Exception {
    Answer answer = get("/plain?q=1", "X-One: two");

    assertThat(answer.status()).isEqualTo(200);
    assertThat(harness.upstream.received.getFirst().headers()).containsEntry("X-One", "two");
    assertThat(harness.broker.materialised).isEmpty();
    AuditEvent event = harness.broker.event(e -> e.getPath().equals("/plain"));
    assertThat(event.getVerdict()).isEqualTo(Verdict.VERDICT_ALLOWED);
    assertThat(event.getHost()).isEqualTo("api.example.test");
    assertThat(event.getProtocol()).isEqualTo("https");
    assertThat(event.getStatus()).isEqualTo(200);
  }

  @Test
  void aPlaceholderInItsTargetBecomesTheValueUpstreamAndComesBackAsPlaceholder() throws Exception {
    Answer answer = get("/echo", "Authorization: Bearer " + Harness.PLACEHOLDER);

    assertThat(harness.upstream.received.getFirst().header("authorization"))
        .isEqualTo("Bearer " + Harness.VALUE);
    assertThat(answer.body()).contains("Bearer " + Harness.PLACEHOLDER);
    assertThat(answer.body()).doesNotContain(Harness.VALUE);
    assertThat(harness.broker.materialised.getFirst().getUses(0).getTarget())
        .isEqualTo("header:authorization");
    AuditEvent event = harness.broker.event(e -> e.getPath().equals("/echo"));
    assertThat(event.getSecret()).isEqualTo("api-key");
    assertThat(event.getTarget()).isEqualTo("header:authorization");
    assertThat(event.getRequest()).isEqualTo(harness.broker.materialised.getFirst().getRequest());
  }

  @Test
  void aPlaceholderInBasicCredentialsIsSwappedInside() throws Exception {
    String credentials = "user:" + Harness.PLACEHOLDER;
    Answer answer =
        get(
            "/echo",
            "Authorization: Basic "
                + Base64.getEncoder()
                    .encodeToString(credentials.getBytes(StandardCharsets.US_ASCII)));

    String sent = harness.upstream.received.getFirst().header("authorization");
    assertThat(new String(Base64.getDecoder().decode(sent.substring(6)), StandardCharsets.US_ASCII))
        .isEqualTo("user:" + Harness.VALUE);
    assertThat(answer.body()).contains(Harness.PLACEHOLDER);
    assertThat(harness.broker.materialised.getFirst().getUses(0).getTarget())
        .isEqualTo("basic:password");
  }

  @Test
  void twoRequestsOfOneGuestShareItsConnectionToTheUpstream() throws Exception {
    int before = harness.upstream.connections.get();
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      String request = "GET /one HTTP/1.1\r\nHost: api.example.test\r\n\r\n";
      assertThat(guest.send(request).answer().status()).isEqualTo(200);
      assertThat(guest.send(request).answer().status()).isEqualTo(200);
    }
    assertThat(harness.upstream.connections.get() - before).isLessThanOrEqualTo(1);
    assertThat(harness.upstream.received).hasSize(2);
  }

  @AttackRow(45)
  @Test
  void whileTheGrantIsSuspendedTheGuestIsToldSoAndTheRestGoesOn() throws Exception {
    harness.broker.refusal =
        Optional.of(new Refusal(ErrorReason.ERROR_REASON_GRANT_SUSPENDED, "the node is lost"));
    try {
      Answer answer = get("/held", "Authorization: Bearer " + Harness.PLACEHOLDER);
      assertThat(answer.status()).isEqualTo(503);
      assertThat(answer.reason()).isEqualTo("grant_suspended");
      assertThat(harness.upstream.received).isEmpty();
      assertThat(harness.broker.event(e -> e.getPath().equals("/held")).getReason())
          .isEqualTo(EgressReason.EGRESS_REASON_GRANT_SUSPENDED);
      assertThat(get("/plain").status()).isEqualTo(200);
    } finally {
      harness.broker.refusal = Optional.empty();
    }
  }

  @AttackRow(23)
  @Test
  void aHostThatNoRuleAllowsGetsNoHandshake() throws Exception {
    try (RawGuest guest = harness.guest()) {
      assertThat(
              org.assertj.core.api.Assertions.catchThrowable(
                  () -> guest.tls("denied.example.test")))
          .isInstanceOf(java.io.IOException.class);
    }
    AuditEvent event = harness.broker.event(e -> e.getHost().equals("denied.example.test"));
    assertThat(event.getReason().name()).isEqualTo("EGRESS_REASON_HOST_NOT_ALLOWED");
  }
}
