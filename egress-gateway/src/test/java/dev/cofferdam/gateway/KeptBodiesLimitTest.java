package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.gateway.proxy.Limits;
import dev.cofferdam.internal.v1.GrantedBinding;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a sandbox may hold of the gateway's memory by bodies that do not end. */
@SuppressWarnings("try") // closing the harness may throw anything
final class KeptBodiesLimitTest {
  private static final int MOST = 32;
  private static final String HEAD =
      String.join(
          "\r\n",
          "POST / HTTP/1.1",
          "Host: api.example.test",
          "Content-Type: application/json",
          "Content-Length: 2",
          "Expect: 100-continue",
          "",
          "");

  /** Many handshakes take their time on a machine that has other work. */
  private static Limits patient(Limits limits) {
    return new Limits(
        limits.headerBytes(),
        limits.bodyScanBytes(),
        limits.connectionsPerSandbox(),
        limits.materialisationsPerSandbox(),
        limits.headerTimeout(),
        Duration.ofMinutes(5),
        limits.connectTimeout(),
        limits.answerTimeout());
  }

  @Test
  void oneMoreIsRefusedAndOneThatEndedMakesRoom(@TempDir Path directory) throws Exception {
    List<RawGuest> guests = new ArrayList<>();
    try (Harness harness =
        new Harness(
            directory,
            false,
            KeptBodiesLimitTest::patient,
            new InetSocketAddress("127.0.0.1", 9))) {
      harness.apply(
          Harness.attachment(harness.port)
              .setPolicyRevision(2)
              .clearSecrets()
              .addSecrets(
                  Harness.granted("api-key", Harness.PLACEHOLDER, "api.example.test", false)
                      .toBuilder()
                      .addBindings(
                          GrantedBinding.newBuilder()
                              .addHosts("api.example.test")
                              .addTargets("json:/key")
                              .setOccurrences(1)))
              .build());
      // What is refused at once is not counted, nor as ended.
      try (RawGuest refused = harness.guest().tls("api.example.test")) {
        Answer answer =
            refused.send(HEAD.replace("Expect: 100-continue", "Content-Encoding: x")).answer();
        assertThat(answer.status()).as(answer.toString()).isEqualTo(415);
      }
      for (int i = 0; i < MOST; i++) {
        RawGuest guest = harness.guest().tls("api.example.test");
        guests.add(guest);
        // The body is awaited, and with that counted.
        guest.send(HEAD).until("100 Continue\r\n\r\n");
      }
      try (RawGuest another = harness.guest().tls("api.example.test")) {
        Answer refused = another.send(HEAD).answer();
        assertThat(refused.reason()).as(refused.toString()).isEqualTo("too_many_at_once");
        assertThat(refused.status()).isEqualTo(429);
      }
      assertThat(guests.getFirst().send("{}").answer().status()).isEqualTo(200);
      assertThat(status(harness)).isEqualTo(200);
    } finally {
      for (RawGuest guest : guests) {
        guest.close();
      }
    }
  }

  /** The answer to another may be read before its exchange has ended. */
  private static int status(Harness harness) throws Exception {
    long end = System.nanoTime() + Duration.ofSeconds(60).toNanos();
    while (true) {
      try (RawGuest guest = harness.guest().tls("api.example.test")) {
        int status =
            guest.send(HEAD.replace("Expect: 100-continue\r\n", "") + "{}").answer().status();
        if (status != 429 || System.nanoTime() > end) {
          return status;
        }
      }
    }
  }
}
