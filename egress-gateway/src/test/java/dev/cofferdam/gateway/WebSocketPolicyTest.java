package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.HttpMatch;
import dev.cofferdam.v1.RequestCaps;
import dev.cofferdam.v1.RuleAction;
import dev.cofferdam.v1.Verdict;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A WebSocket begins as a GET and ends as anything: no way round a rule on requests. */
final class WebSocketPolicyTest {
  private static final String ASKING =
      String.join(
          "\r\n",
          "GET /socket HTTP/1.1",
          "Host: api.example.test",
          "Connection: Upgrade",
          "Upgrade: websocket",
          "Sec-WebSocket-Version: 13",
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
          "",
          "");

  private Harness harness;
  private long revision = 1;

  @SuppressWarnings("NullAway.Init") // before each test
  WebSocketPolicyTest() {}

  @BeforeEach
  void start(@TempDir Path directory) throws Exception {
    harness = new Harness(directory, false);
  }

  @AfterEach
  void stop() throws Exception {
    harness.close();
  }

  private void policy(EgressRule.Builder... rules) throws Exception {
    EgressPolicy.Builder policy = EgressPolicy.newBuilder();
    for (EgressRule.Builder rule : rules) {
      policy.addRules(rule);
    }
    harness.apply(
        Harness.attachment(harness.port).setPolicyRevision(++revision).setPolicy(policy).build());
  }

  private EgressRule.Builder api() {
    return EgressRule.newBuilder().setHost("api.example.test").addPorts(harness.port);
  }

  private EgressRule.Builder reading() {
    return api().setHttp(HttpMatch.newBuilder().addMethods("GET"));
  }

  /** Of a text, masked with zeros. */
  private static byte[] frame(int length) {
    byte[] frame = new byte[8 + length];
    frame[0] = (byte) 0x81;
    frame[1] = (byte) (0x80 | 126);
    frame[2] = (byte) (length >> 8);
    frame[3] = (byte) length;
    java.util.Arrays.fill(frame, 8, frame.length, (byte) 'x');
    return frame;
  }

  private AuditEvent denied() throws Exception {
    return harness.broker.event(e -> e.getVerdict() == Verdict.VERDICT_DENIED);
  }

  @Test
  void noneBeginsUnderARuleOnSingleRequests() throws Exception {
    for (EgressRule.Builder rule :
        List.of(
            reading(),
            api().setMaxRequestBytes(10),
            api().setAction(RuleAction.RULE_ACTION_APPROVE),
            api().setAction(RuleAction.RULE_ACTION_DOWNGRADE))) {
      policy(rule);
      try (RawGuest guest = harness.guest().tls("api.example.test")) {
        Answer answer = guest.send(ASKING).answer();
        assertThat(answer.status()).isEqualTo(403);
        assertThat(answer.reason()).isEqualTo("protocol_not_allowed");
      }
    }
  }

  @Test
  void itsFramesAreBytesUnderACap() throws Exception {
    policy(api().setCaps(RequestCaps.newBuilder().setBytes(10_000)));
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      assertThat(guest.send(ASKING).until("\r\n\r\n")).startsWith("HTTP/1.1 101 ");
      guest.send(frame(4000)).send(frame(4000)).send(frame(4000));
      assertThat(guest.hungUpOn()).isTrue();
    }
    AuditEvent event = denied();
    assertThat(event.getReason()).isEqualTo(EgressReason.EGRESS_REASON_CAP_EXCEEDED);
    assertThat(event.getBytesOut() + event.getBytesIn()).isLessThanOrEqualTo(10_000);
  }

  @Test
  void itEndsWithTheRuleThatLetItIn() throws Exception {
    policy(api());
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      assertThat(guest.send(ASKING).until("\r\n\r\n")).startsWith("HTTP/1.1 101 ");

      policy(reading());

      assertThat(guest.hungUpOn()).isTrue();
    }
    AuditEvent event = denied();
    assertThat(event.getReason()).isEqualTo(EgressReason.EGRESS_REASON_PROTOCOL_NOT_ALLOWED);
    assertThat(event.getStatus()).isEqualTo(101);
  }

  /** And counts as under way for as long as it is open. */
  @Test
  void itHoldsItsPlaceUntilItEnds() throws Exception {
    policy(api().setCaps(RequestCaps.newBuilder().setConcurrent(1)));
    try (RawGuest guest = harness.guest().tls("api.example.test");
        RawGuest other = harness.guest().tls("api.example.test")) {
      assertThat(guest.send(ASKING).until("\r\n\r\n")).startsWith("HTTP/1.1 101 ");
      Answer answer = other.send(ASKING).answer();
      assertThat(answer.status()).isEqualTo(429);
    }
  }
}
