package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.gateway.proxy.Limits;
import dev.cofferdam.v1.EgressReason;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** How many connections to upstreams one sandbox may have: here one. */
final class UpstreamLimitTest {
  @TempDir Path directory;
  private Harness harness;

  @SuppressWarnings("NullAway.Init") // in each test
  UpstreamLimitTest() {}

  private void start(boolean http2) throws Exception {
    harness =
        new Harness(
            directory,
            http2,
            limits ->
                new Limits(
                    limits.headerBytes(),
                    limits.bodyScanBytes(),
                    1,
                    limits.materialisationsPerSandbox(),
                    limits.headerTimeout(),
                    limits.idleTimeout(),
                    limits.connectTimeout(),
                    limits.answerTimeout()),
            new InetSocketAddress("127.0.0.1", 9));
  }

  @AfterEach
  void stop() throws Exception {
    harness.close();
  }

  /** An upstream that takes one stream at a time cannot make the gateway open a hundred. */
  @Test
  void oneMoreThanThatIsRefused() throws Exception {
    start(true);
    harness.upstream.streamsAtOnce = 1;
    try (Http2Guest guest = new Http2Guest(harness, "api.example.test")) {
      assertThat(guest.ask("api.example.test", "/stall", Map.of())).isEqualTo("200");

      assertThat(guest.ask("api.example.test", "/more", Map.of())).isEqualTo("429");
    }
    assertThat(harness.broker.event(e -> e.getPath().equals("/more")).getReason())
        .isEqualTo(EgressReason.EGRESS_REASON_TOO_MANY_AT_ONCE);
    assertThat(harness.upstream.connections).hasValue(1);
  }

  @Test
  void aKeptOneThatServesNothingMakesRoom() throws Exception {
    start(false);
    try (PlainUpstream plain = new PlainUpstream()) {
      harness.policy(
          Harness.rule("api.example.test", plain.port()),
          Harness.rule("other.example.test", plain.port()));
      int listener = harness.listen("127.0.0.1", plain.port());
      try (RawGuest guest =
          new RawGuest(
              Harness.SLOT, new InetSocketAddress("127.0.0.1", listener), harness.lineage)) {
        for (String host : new String[] {"api", "other", "api"}) {
          Answer answer =
              guest.send("GET / HTTP/1.1\r\nHost: " + host + ".example.test\r\n\r\n").answer();
          assertThat(answer.status()).as(answer.body()).isEqualTo(200);
        }
      }
    }
  }
}
