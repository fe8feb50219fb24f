package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.gateway.proxy.Limits;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Where more of a body has to be seen than would otherwise wait. */
final class BodyScanTest {
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
                    1 << 20,
                    limits.connectionsPerSandbox(),
                    limits.materialisationsPerSandbox(),
                    limits.headerTimeout(),
                    limits.idleTimeout(),
                    limits.connectTimeout(),
                    limits.answerTimeout()),
            new InetSocketAddress("127.0.0.1", 9));
  }

  @AfterAll
  static void stop() throws Exception {
    harness.close();
  }

  @BeforeEach
  void forget() {
    harness.upstream.received.clear();
  }

  private static Answer post(String body) throws Exception {
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      return guest
          .send(
              "POST / HTTP/1.1\r\nHost: api.example.test\r\nContent-Length: "
                  + body.length()
                  + "\r\n\r\n"
                  + body)
          .answer();
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {100_000, 600_000, 3_000_000})
  void aBodyOfAnyLengthArrives(int length) throws Exception {
    assertThat(post("x".repeat(length)).status()).isEqualTo(200);
    assertThat(harness.upstream.received.getFirst().body()).hasSize(length);
  }

  @AttackRow(15)
  @ParameterizedTest
  @ValueSource(ints = {100_000, 600_000, 1_000_000})
  void aPlaceholderWithinWhatIsSeenFirstReachesNoUpstream(int before) throws Exception {
    int connections = harness.upstream.connections.get();

    assertThat(post("x".repeat(before) + Harness.PLACEHOLDER + "y").reason())
        .isEqualTo("placeholder_outside_target");

    assertThat(harness.upstream.received).isEmpty();
    // The one that told what the upstream speaks.
    assertThat(harness.upstream.connections.get() - connections).isLessThanOrEqualTo(1);
  }
}
