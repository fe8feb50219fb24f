package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.EgressReason;
import java.net.InetSocketAddress;
import org.junit.jupiter.api.Test;

/** What is let out while something is missing. */
final class DegradedAttackTest extends AttackSuite {
  @AttackRow(35)
  @Test
  void anUnknownSlotIsClosedAndTold() throws Exception {
    try (RawGuest guest =
        new RawGuest(
            "127.0.1.99", new InetSocketAddress("127.0.0.1", harness.port), harness.lineage)) {
      assertThat(guest.closed()).isTrue();
    }
    AuditEvent event =
        harness.broker.event(e -> e.getReason() == EgressReason.EGRESS_REASON_UNKNOWN_SLOT);
    assertThat(event.getMessage()).contains("127.0.1.99");
  }

  @AttackRow(45)
  @Test
  void withTheBrokerAwayOnlyRequestsWithoutASecretPass() throws Exception {
    harness.broker.away = true;

    Answer needing =
        ask(
            "GET / HTTP/1.1\r\n"
                + HOST
                + "Authorization: Bearer "
                + Harness.PLACEHOLDER
                + "\r\n\r\n");

    refused(needing, 503, "broker_unavailable");
    assertThat(ask("GET / HTTP/1.1\r\n" + HOST + "\r\n").status()).isEqualTo(200);
  }

  @AttackRow(45)
  @Test
  void afterTheLeaseNothingPasses() throws Exception {
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      harness.nanos.set(java.time.Duration.ofMinutes(11).toNanos());

      refused(guest.send("GET / HTTP/1.1\r\n" + HOST + "\r\n").answer(), 503, "lease_expired");
    }
    try (RawGuest guest = harness.guest()) {
      assertThat(guest.closed()).isTrue();
    }
  }
}
