package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.gateway.proxy.Limits;
import io.netty.handler.codec.http2.DefaultHttp2DataFrame;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** How many WebSockets a sandbox may have, for many go over one connection of HTTP/2. */
@SuppressWarnings("try") // closing the harness may throw anything
final class WebSocketLimitTest {
  private static Limits fewConnections(Limits limits) {
    return new Limits(
        limits.headerBytes(),
        limits.bodyScanBytes(),
        4,
        limits.materialisationsPerSandbox(),
        limits.headerTimeout(),
        limits.idleTimeout(),
        limits.connectTimeout(),
        limits.answerTimeout());
  }

  @AttackRow(34)
  @Test
  void oneMoreIsRefusedAndOneThatEndedMakesRoom(@TempDir Path directory) throws Exception {
    try (Harness harness =
        new Harness(
            directory,
            true,
            WebSocketLimitTest::fewConnections,
            new InetSocketAddress("127.0.0.1", 9))) {
      harness.upstream.socketsOverHttp2 = true;
      try (Http2Guest guest = new Http2Guest(harness, "api.example.test")) {
        assertThat(guest.ask("api.example.test", "/before", Map.of())).isEqualTo("200");
        Http2Socket first = guest.socket(Map.of(":path", "/socket/first"));
        assertThat(first.status()).isEqualTo("200");
        for (int i = 1; i < 4; i++) {
          assertThat(guest.socket(Map.of()).status()).isEqualTo("200");
        }
        // What is no WebSocket is not counted with them.
        assertThat(guest.ask("api.example.test", "/beside", Map.of())).isEqualTo("200");
        for (int i = 0; i < 2; i++) {
          Http2Socket more = guest.socket(Map.of());
          assertThat(more.status()).isEqualTo("429");
          assertThat(more.header("cofferdam-reason")).isEqualTo("too_many_at_once");
        }
        first.send(new DefaultHttp2DataFrame(true));
        // Told once its place is free.
        var _ = harness.broker.event(e -> e.getPath().equals("/socket/first"));

        assertThat(guest.socket(Map.of()).status()).isEqualTo("200");
        assertThat(guest.socket(Map.of()).status()).isEqualTo("429");
      }
    }
  }
}
