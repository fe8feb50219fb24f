package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.Verdict;
import io.netty.buffer.Unpooled;
import io.netty.handler.codec.http.websocketx.BinaryWebSocketFrame;
import io.netty.handler.codec.http.websocketx.CloseWebSocketFrame;
import io.netty.handler.codec.http.websocketx.ContinuationWebSocketFrame;
import io.netty.handler.codec.http.websocketx.PingWebSocketFrame;
import io.netty.handler.codec.http.websocketx.TextWebSocketFrame;
import io.netty.handler.codec.http2.DefaultHttp2DataFrame;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * WebSockets of guests over HTTP/2 (RFC 8441), to upstreams that take them so and such that do not.
 */
final class WebSocketHttp2Test extends AttackSuite {
  private Http2Guest guest;
  private int opened;
  private String path = "";

  @SuppressWarnings("NullAway.Init") // by each test
  WebSocketHttp2Test() {
    super(true);
  }

  /**
   * @param over what the upstream takes WebSockets over: {@code h2} or {@code http/1.1}
   */
  private void connect(String over) throws Exception {
    harness.upstream.socketsOverHttp2 = over.equals("h2");
    // What was made before was told something else.
    harness.upstream.hangUp();
    guest = new Http2Guest(harness, "api.example.test");
    // With its answer the gateway has the upstream's settings.
    assertThat(guest.ask("api.example.test", "/before", Map.of())).isEqualTo("200");
    harness.upstream.received.clear();
  }

  @AfterEach
  void leave() {
    guest.close();
  }

  private Http2Socket socket(Map<String, String> more) throws Exception {
    return socket(more, false);
  }

  private Http2Socket socket(Map<String, String> more, boolean end) throws Exception {
    path = more.getOrDefault(":path", "/socket/" + ++opened);
    Map<String, String> all = new HashMap<>(more);
    all.put(":path", path);
    return guest.socket(all, end);
  }

  private String asked() {
    return harness.upstream.received.stream()
        .map(r -> r.method() + " " + r.uri())
        .toList()
        .toString();
  }

  @Test
  void theGatewaySaysThatItTakesThem() throws Exception {
    connect("http/1.1");
    assertThat(guest.settings.get(20, TimeUnit.SECONDS).connectProtocolEnabled()).isTrue();
  }

  @ParameterizedTest
  @ValueSource(strings = {"h2", "http/1.1"})
  void textBinaryAndPingsGoBothWaysBesideOtherStreamsAndTheWholeIsOnRecord(String over)
      throws Exception {
    connect(over);
    Http2Socket socket = socket(Map.of());
    assertThat(socket.status()).isEqualTo("200");
    assertThat(socket.header("sec-websocket-accept")).isEqualTo("null");

    socket.send(
        new TextWebSocketFrame(false, 0, "one "), new ContinuationWebSocketFrame(true, 0, "two"));
    assertThat(socket.next()).isEqualTo("said: one ");
    assertThat(socket.next()).isEqualTo("two");
    socket.send(new BinaryWebSocketFrame(Unpooled.copiedBuffer("ab", StandardCharsets.US_ASCII)));
    assertThat(socket.next()).isEqualTo("binary ab");
    socket.send(new PingWebSocketFrame(Unpooled.copiedBuffer("c", StandardCharsets.US_ASCII)));
    assertThat(socket.next()).isEqualTo("pong c");
    assertThat(guest.ask("api.example.test", "/beside", Map.of())).isEqualTo("200");
    socket.send(new TextWebSocketFrame("x".repeat(1_000_000)));
    assertThat(socket.next()).hasSize(1_000_006);
    assertThat(asked())
        .isEqualTo(over.equals("h2") ? "[CONNECT " + path + ", GET /beside]" : "[GET /beside]");
    socket.send(new CloseWebSocketFrame(1000, "bye"));
    assertThat(socket.next()).isEqualTo("close 1000 bye");
    socket.send(new DefaultHttp2DataFrame(true));

    AuditEvent event = harness.broker.event(e -> e.getPath().equals(path));
    assertThat(event.getVerdict()).isEqualTo(Verdict.VERDICT_ALLOWED);
    assertThat(event.getStatus()).isEqualTo(101);
    assertThat(event.getBytesOut()).isGreaterThan(1_000_000);
    assertThat(guest.ask("api.example.test", "/after", Map.of())).isEqualTo("200");
  }

  @AttackRow(18)
  @ParameterizedTest
  @ValueSource(strings = {"h2", "http/1.1"})
  void aSecretOfTheHandshakeIsSwappedAndNoFrameGivesItBack(String over) throws Exception {
    connect(over);
    Http2Socket socket = socket(Map.of("authorization", "Bearer " + Harness.PLACEHOLDER));

    socket.send(new TextWebSocketFrame("credential"));
    assertThat(socket.next()).isEqualTo("said: Bearer " + Harness.PLACEHOLDER);
    socket.send(new TextWebSocketFrame("fragments"));
    assertThat(socket.next()).isEqualTo("Bearer " + Harness.PLACEHOLDER);
    socket.send(new TextWebSocketFrame("base64"));
    assertThat(socket.next()).doesNotContain(base64(Harness.VALUE).substring(4, 30));
    socket.send(new DefaultHttp2DataFrame(true));

    assertThat(harness.broker.materialised).hasSize(1);
    AuditEvent event = harness.broker.event(e -> e.getPath().equals(path));
    assertThat(event.getSecret()).isEqualTo("api-key");
  }

  @AttackRow({10, 32})
  @ParameterizedTest
  @CsvSource({
    "text, h2",
    "binary, h2",
    "fragments, h2",
    "ping, h2",
    "close, h2",
    "inside, h2",
    "ahead, h2",
    "text, http/1.1",
    "fragments, http/1.1",
    "ahead, http/1.1"
  })
  void aPlaceholderInAFrameIsNotPassedOn(String form, String over) throws Exception {
    connect(over);
    String placeholder = Harness.PLACEHOLDER;
    Http2Socket socket = socket(Map.of());
    if (!form.equals("ahead")) {
      assertThat(socket.status()).isEqualTo("200");
    }
    switch (form) {
      case "text", "ahead" -> socket.send(new TextWebSocketFrame(placeholder));
      case "binary" ->
          socket.send(
              new BinaryWebSocketFrame(
                  Unpooled.copiedBuffer(placeholder, StandardCharsets.US_ASCII)));
      case "fragments" ->
          socket.send(
              new TextWebSocketFrame(false, 0, placeholder.substring(0, 20)),
              new ContinuationWebSocketFrame(false, 0, placeholder.substring(20, 40)),
              new ContinuationWebSocketFrame(true, 0, placeholder.substring(40)));
      case "ping" ->
          socket.send(
              new PingWebSocketFrame(
                  Unpooled.copiedBuffer(placeholder, StandardCharsets.US_ASCII)));
      case "close" -> socket.send(new CloseWebSocketFrame(1000, placeholder));
      default ->
          socket.send(
              new TextWebSocketFrame("{\"key\": \"" + placeholder.replace("_", "\\u005f") + "\"}"));
    }

    assertThat(socket.next()).isEqualTo("close 1008 placeholder_outside_target");
    assertThat(socket.next()).isEqualTo("end");
    AuditEvent event = harness.broker.event(e -> e.getPath().equals(path));
    assertThat(event.getVerdict()).isEqualTo(Verdict.VERDICT_DENIED);
    assertThat(event.getReason()).isEqualTo(EgressReason.EGRESS_REASON_PLACEHOLDER_OUTSIDE_TARGET);
    assertThat(harness.upstream.heard.toString()).doesNotContain(placeholder.substring(0, 20));
    assertThat(harness.broker.materialised).isEmpty();
    assertThat(guest.ask("api.example.test", "/after", Map.of())).isEqualTo("200");
  }

  static List<Map<String, String>> notQuiteAsking() {
    return List.of(
        Map.of(":protocol", "connect-udp"),
        Map.of(":protocol", "connect-ip"),
        Map.of(":protocol", "WebSocket"),
        Map.of("sec-websocket-version", "8"),
        Map.of("sec-websocket-version", ""),
        Map.of(":protocol", "", ":path", "", ":scheme", ""));
  }

  @AttackRow({31, 32})
  @ParameterizedTest
  @MethodSource("notQuiteAsking")
  void whatOnlyLooksLikeAnExtendedConnectIsRefused(Map<String, String> changed) throws Exception {
    connect("h2");
    Http2Socket socket = socket(changed);

    assertThat(socket.status()).isEqualTo("403");
    assertThat(socket.header("cofferdam-reason")).isEqualTo("protocol_not_allowed");
    assertThat(asked()).isEqualTo("[]");
  }

  static List<Map<String, String>> malformed() {
    return List.of(
        Map.of(":method", "GET"),
        Map.of(":method", "POST"),
        Map.of("content-length", "5"),
        Map.of("expect", "100-continue"));
  }

  @AttackRow({31, 32})
  @ParameterizedTest
  @MethodSource("malformed")
  void anExtendedConnectThatIsNoneIsMalformed(Map<String, String> changed) throws Exception {
    connect("h2");

    assertThat(status(socket(changed))).isIn("400", "reset");
    assertThat(asked()).isEqualTo("[]");
  }

  @AttackRow({31, 32})
  @Test
  void anExtendedConnectThatEndsAtOnceIsMalformed() throws Exception {
    connect("h2");

    assertThat(status(socket(Map.of(), true))).isIn("400", "reset");
    assertThat(asked()).isEqualTo("[]");
  }

  private static String status(Http2Socket socket) throws Exception {
    try {
      return socket.status();
    } catch (ExecutionException e) {
      return "reset";
    }
  }

  @AttackRow({1, 3})
  @Test
  void itIsJudgedByItsAuthorityAndItsPlaceholdersLikeEveryRequest() throws Exception {
    connect("h2");

    assertThat(socket(Map.of(":authority", "other.example.test")).header("cofferdam-reason"))
        .isEqualTo("host_mismatch");
    assertThat(socket(Map.of("cookie", Harness.PLACEHOLDER)).header("cofferdam-reason"))
        .isEqualTo("placeholder_outside_target");
    assertThat(socket(Map.of("authorization", Harness.OTHER)).header("cofferdam-reason"))
        .isEqualTo("placeholder_host_not_bound");
    assertThat(asked()).isEqualTo("[]");
  }

  /** In HTTP/2 every 2xx would mean that frames follow, which nobody would search. */
  @AttackRow(32)
  @Test
  void anAnswerThatIsNoSocketIsNotTakenForOne() throws Exception {
    connect("http/1.1");

    Http2Socket socket = socket(Map.of(":path", "/plain"));
    assertThat(socket.status()).isEqualTo("403");
    assertThat(socket.header("cofferdam-reason")).isEqualTo("protocol_not_allowed");
  }

  @AttackRow(32)
  @ParameterizedTest
  @CsvSource({
    "/no, 403, null",
    "/ends, 502, upstream_unreachable",
    "/101, 502, upstream_unreachable"
  })
  void anUpstreamThatTakesNoneIsNotFollowed(String path, String status, String reason)
      throws Exception {
    connect("h2");

    Http2Socket socket = socket(Map.of(":path", path));
    assertThat(socket.status()).isEqualTo(status);
    assertThat(socket.header("cofferdam-reason")).isEqualTo(reason);
    assertThat(guest.ask("api.example.test", "/after", Map.of())).isEqualTo("200");
  }

  @AttackRow(34)
  @Test
  void whatComesAheadOfTheAnswerIsBounded() throws Exception {
    Semaphore released = new Semaphore(0);
    harness.broker.beforeValues = released::acquireUninterruptibly;
    try {
      connect("h2");
      Http2Socket socket = socket(Map.of("authorization", "Bearer " + Harness.PLACEHOLDER));
      socket.send(new BinaryWebSocketFrame(Unpooled.wrappedBuffer(new byte[100 << 10])));

      assertThat(socket.status()).isEqualTo("400");
      assertThat(socket.header("cofferdam-reason")).isEqualTo("malformed_request");
    } finally {
      released.release();
      harness.broker.beforeValues = () -> {};
    }
    assertThat(asked()).doesNotContain("CONNECT");
  }

  @AttackRow(48)
  @Test
  void itEndsWithThePolicyThatAllowedIt() throws Exception {
    connect("h2");
    Http2Socket socket = socket(Map.of());
    assertThat(socket.status()).isEqualTo("200");
    try {
      harness.policy(Harness.rule("other.example.test", harness.port));
      assertThat(socket.next()).isEqualTo("closed");
    } finally {
      harness.policy(
          Harness.rule("api.example.test", harness.port),
          Harness.rule("other.example.test", harness.port));
    }
  }
}
