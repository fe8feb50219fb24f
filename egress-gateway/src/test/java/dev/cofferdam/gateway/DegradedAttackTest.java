package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.EgressReason;
import java.net.InetAddress;
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

  @AttackRow({45, 49})
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

  @AttackRow(49)
  @Test
  void withoutAPolicyNoPlaceholderLeaves() throws Exception {
    String slot = "127.0.1.7";
    harness.broker.put(
        Harness.attachment(harness.port)
            .setSandbox("sb-none")
            .setSlotAddress(slot)
            .clearPolicy()
            .build());
    await(InetAddress.getByName(slot));
    InetSocketAddress gateway = new InetSocketAddress("127.0.0.1", harness.port);
    try (RawGuest guest = new RawGuest(slot, gateway, harness.lineage)) {
      assertThat(guest.send(get("/", BEARER)).answer().reason()).isEqualTo("host_not_allowed");
    }
    try (RawGuest guest = new RawGuest(slot, gateway, harness.lineage)) {
      assertThat(guest.send(ClientHellos.of("api.example.test")).hungUpOn()).isTrue();
    }
    nothingLeft();
  }

  private void await(InetAddress slot) {
    long end = System.nanoTime() + java.time.Duration.ofSeconds(20).toNanos();
    while (harness.slots.at(slot).isEmpty()) {
      assertThat(System.nanoTime()).isLessThan(end);
      java.util.concurrent.locks.LockSupport.parkNanos(1_000_000);
    }
  }

  @AttackRow({45, 49})
  @Test
  void afterTheLeaseNothingPasses() throws Exception {
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      harness.nanos.set(java.time.Duration.ofMinutes(11).toNanos());

      refused(guest.send(get("/", BEARER)).answer(), 503, "lease_expired");
    }
    try (RawGuest guest = harness.guest()) {
      assertThat(guest.closed()).isTrue();
    }
  }
}
