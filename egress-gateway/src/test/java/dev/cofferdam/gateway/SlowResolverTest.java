package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.gateway.proxy.Limits;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.EgressReason;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * ATTACKS.md row 33: a guest that has said what it has to is not taken for a slow one because the
 * gateway's own resolver is. It never answers, and is waited for longer than a guest's head is.
 */
final class SlowResolverTest {
  private static final Duration HEADER = Duration.ofSeconds(1);
  private static final Duration CONNECT = HEADER.multipliedBy(4);

  private static DatagramSocket silent;
  private static Harness harness;

  @BeforeAll
  static void start(@TempDir Path directory) throws Exception {
    silent = new DatagramSocket(0, InetAddress.getByName("127.0.0.1"));
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
                    HEADER,
                    limits.idleTimeout(),
                    CONNECT,
                    limits.answerTimeout()),
            (InetSocketAddress) silent.getLocalSocketAddress());
  }

  @AfterAll
  static void stop() throws Exception {
    harness.close();
    silent.close();
  }

  @AttackRow(33)
  @Test
  void anInterceptedGuestIsToldThatTheNameWasNotResolved() throws Exception {
    harness.policy(Harness.rule("*.nowhere.example.test", harness.port));
    try (RawGuest guest = harness.guest().tls("a.nowhere.example.test")) {
      Answer answer =
          guest
              .send("GET / HTTP/1.1\r\nHost: a.nowhere.example.test:" + harness.port + "\r\n\r\n")
              .answer();

      assertThat(answer.status()).isEqualTo(502);
      assertThat(answer.reason()).isEqualTo("name_not_resolved");
    }
  }

  @AttackRow(33)
  @Test
  void aRelayedGuestsEventSaysSo() throws Exception {
    harness.policy(
        Harness.rule("*.nowhere.example.test", harness.port).toBuilder()
            .setPassthrough(true)
            .build());
    try (RawGuest guest = harness.guest()) {
      guest.send(ClientHellos.of("b.nowhere.example.test"));
      assertThat(guest.closed()).isTrue();
    }
    AuditEvent event = harness.broker.event(e -> e.getHost().equals("b.nowhere.example.test"));
    assertThat(event.getReason()).isEqualTo(EgressReason.EGRESS_REASON_NAME_NOT_RESOLVED);
  }
}
