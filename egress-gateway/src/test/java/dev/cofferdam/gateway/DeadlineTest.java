package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.gateway.proxy.Limits;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.EgressReason;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** ATTACKS.md row 33: who may keep whom waiting, and for how long. */
final class DeadlineTest {
  private static final String HOST = "Host: api.example.test\r\n";
  private static Harness harness;

  @BeforeAll
  static void start(@TempDir Path directory) throws Exception {
    harness =
        new Harness(
            directory,
            false,
            limits ->
                new Limits(
                    limits.headerBytes(),
                    limits.bodyScanBytes(),
                    limits.connectionsPerSandbox(),
                    limits.materialisationsPerSandbox(),
                    limits.headerTimeout(),
                    Duration.ofSeconds(1),
                    limits.connectTimeout(),
                    Duration.ofSeconds(3)),
            new InetSocketAddress("127.0.0.1", 9));
  }

  @AfterAll
  static void stop() throws Exception {
    harness.close();
  }

  @BeforeEach
  void forget() {
    harness.upstream.received.clear();
    harness.broker.events.clear();
  }

  @AttackRow(33)
  @Test
  void anAnswerThatStallsIsBrokenOff() throws Exception {
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      guest.send("GET /stall HTTP/1.1\r\n" + HOST + "\r\n").until("line\n\r\n");

      assertThat(guest.closed()).isTrue();
    }
    AuditEvent event = harness.broker.event(e -> e.getPath().equals("/stall"));
    assertThat(event.getReason()).isEqualTo(EgressReason.EGRESS_REASON_UPSTREAM_TIMEOUT);
    assertThat(event.getMessage()).isEqualTo("the answer stalled");
  }

  /** Longer than any timeout, from before the end of the request to long after it. */
  @AttackRow(33)
  @Test
  void aStreamThatIsAliveInEitherDirectionIsNot() throws Exception {
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      guest.send("POST /drip HTTP/1.1\r\n" + HOST + "Content-Length: 100001\r\n\r\n");
      // More than has to be seen before the upstream is called.
      guest.send("x".repeat(100_000));
      for (int line = 0; line < 10; line++) {
        guest.until("line\n");
      }
      guest.send("y");
      guest.until("\r\n0\r\n\r\n");
    }
    AuditEvent event = harness.broker.event(e -> e.getPath().equals("/drip"));
    assertThat(event.getStatus()).isEqualTo(200);
  }

  /** The guest is not read meanwhile, so it is not the guest that stalls. */
  @AttackRow(33)
  @Test
  void aGuestIsNotBlamedForAnUpstreamThatTakesItsTime() throws Exception {
    String body = "x".repeat(8_000_000);
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      guest.send("POST /late HTTP/1.1\r\n" + HOST + "Content-Length: 8000000\r\n\r\n" + body);

      assertThat(guest.answer().status()).isEqualTo(200);
    }
    assertThat(harness.upstream.received.getFirst().body()).hasSize(8_000_000);
  }

  @AttackRow(33)
  @Test
  void aRequestThatStallsIsBrokenOff() throws Exception {
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      guest.send("POST / HTTP/1.1\r\n" + HOST + "Content-Length: 2\r\n\r\nx");

      assertThat(guest.closed()).isTrue();
    }
    assertThat(harness.broker.event(e -> e.getPath().equals("/")).getMessage())
        .isEqualTo("the request stalled");
  }
}
