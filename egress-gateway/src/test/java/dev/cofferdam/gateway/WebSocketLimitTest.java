package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.gateway.proxy.Limits;
import dev.cofferdam.internal.v1.Attachment;
import dev.cofferdam.internal.v1.GrantedSecret;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.Verdict;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.handler.codec.http2.DefaultHttp2DataFrame;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** How many WebSockets a sandbox may have, for many go over one connection of HTTP/2. */
@SuppressWarnings("try") // closing the harness may throw anything
final class WebSocketLimitTest {
  /** Of {@link #FRAME}, within what a sandbox may hold. */
  private static final int MOST_TOGETHER = 16;

  /** A little less than one may have, for the upstream says more. */
  private static final int FRAME = (4 << 20) - 64;

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

  /** Of each all but the last byte. */
  @AttackRow(34)
  @ParameterizedTest
  @ValueSource(strings = {"frames", "messages"})
  void whatAllHoldOfWhatDoesNotEndIsBounded(String form, @TempDir Path directory) throws Exception {
    boolean fragments = form.equals("messages");
    try (Harness harness = new Harness(directory, true)) {
      harness.apply(inMessages(harness));
      harness.upstream.socketsOverHttp2 = true;
      try (Http2Guest guest = new Http2Guest(harness, "api.example.test")) {
        assertThat(guest.ask("api.example.test", "/before", Map.of())).isEqualTo("200");
        List<Http2Socket> sockets = new ArrayList<>();
        for (int i = 0; i < MOST_TOGETHER; i++) {
          sockets.add(unended(guest, fragments));
        }
        Http2Socket another = guest.socket(Map.of());
        assertThat(another.status()).isEqualTo("200");
        another.send(allButTheLastByte(fragments));

        assertThat(another.next()).isEqualTo("close 1008 too_many_at_once");
        AuditEvent event =
            harness.broker.event(e -> e.getReason() == EgressReason.EGRESS_REASON_TOO_MANY_AT_ONCE);
        assertThat(event.getVerdict()).isEqualTo(Verdict.VERDICT_DENIED);
        assertThat(event.getStatus()).isEqualTo(101);
        // The others are as they were, and each that ends makes room.
        for (Http2Socket socket : sockets) {
          end(socket, fragments);
        }
        end(unended(guest, fragments), fragments);
      }
    }
  }

  private static Attachment inMessages(Harness harness) {
    GrantedSecret secret =
        Harness.granted("api-key", Harness.PLACEHOLDER, "api.example.test", false);
    return Harness.attachment(harness.port)
        .setPolicyRevision(2)
        .clearSecrets()
        .addSecrets(
            secret.toBuilder()
                .setBindings(0, secret.getBindings(0).toBuilder().addTargets("websocket-frame")))
        .build();
  }

  /**
   * @param fragment it sends a fragment, else a frame that has not ended
   */
  private static Http2Socket unended(Http2Guest guest, boolean fragment) throws Exception {
    Http2Socket socket = guest.socket(Map.of());
    assertThat(socket.status()).isEqualTo("200");
    socket.sendWhole(allButTheLastByte(fragment));
    return socket;
  }

  private static DefaultHttp2DataFrame allButTheLastByte(boolean fragment) {
    int length = fragment ? FRAME - 1 : FRAME;
    ByteBuf bytes = Unpooled.buffer(14 + FRAME);
    // Masked with zeros.
    bytes.writeByte(fragment ? 0x01 : 0x82).writeByte(0x80 | 127).writeLong(length).writeInt(0);
    return new DefaultHttp2DataFrame(bytes.writeZero(FRAME - 1));
  }

  private static void end(Http2Socket socket, boolean fragment) throws Exception {
    ByteBuf bytes = Unpooled.buffer(7);
    if (fragment) {
      bytes.writeByte(0x80).writeByte(0x80 | 1).writeInt(0);
    }
    socket.sendWhole(new DefaultHttp2DataFrame(bytes.writeByte('x')));
    assertThat(socket.next()).hasSize((fragment ? "said: " : "binary ").length() + FRAME);
  }
}
