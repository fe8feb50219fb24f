package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.Verdict;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** WebSockets: the JDK's client, and raw sockets that do what it would not. */
final class WebSocketTest extends AttackSuite {
  private static final String KEY = "dGhlIHNhbXBsZSBub25jZQ==";

  /** RFC 6455 section 1.3 gives it for that key. */
  private static final String ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

  private static final String ASKING =
      "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
          + ("Sec-WebSocket-Key: " + KEY + "\r\n");

  private HttpClient client;
  private int opened;

  /**
   * Of the socket opened last; no other has it, so that its event is told from a late one of
   * another.
   */
  private String path = "";

  WebSocketTest() {
    // The upstream speaks HTTP/2 too, which has to be left aside.
    super(true);
  }

  @BeforeAll
  void makeClient() throws Exception {
    client =
        HttpClient.newBuilder()
            .localAddress(InetAddress.getByName(Harness.SLOT))
            .sslContext(harness.lineage.client())
            .build();
  }

  @AfterAll
  void closeClient() {
    client.shutdownNow();
  }

  private WebSocket open(Heard heard, String... headers) {
    path = "/socket/" + ++opened;
    WebSocket.Builder builder = client.newWebSocketBuilder();
    for (int i = 0; i < headers.length; i += 2) {
      builder.header(headers[i], headers[i + 1]);
    }
    return builder
        .buildAsync(URI.create("wss://api.example.test:" + harness.port + path), heard)
        .orTimeout(60, TimeUnit.SECONDS)
        .join();
  }

  @Test
  void textBinaryAndPingsGoBothWaysAndTheWholeIsOnRecord() throws Exception {
    Heard heard = new Heard();
    WebSocket socket = open(heard);

    socket.sendText("one ", false).thenCompose(s -> s.sendText("two", true)).join();
    assertThat(heard.next()).isEqualTo("said: one two");
    socket.sendBinary(ByteBuffer.wrap(new byte[] {'a', 'b'}), true).join();
    assertThat(heard.next()).isEqualTo("binary ab");
    socket.sendPing(ByteBuffer.wrap(new byte[] {'c'})).join();
    assertThat(heard.next()).isEqualTo("pong c");
    socket.sendText("x".repeat(1_000_000), true).join();
    assertThat(heard.next()).hasSize(1_000_006);
    socket.sendClose(WebSocket.NORMAL_CLOSURE, "bye").join();
    assertThat(heard.next()).isEqualTo("close 1000 bye");

    AuditEvent event = harness.broker.event(e -> e.getPath().equals(path));
    assertThat(event.getVerdict()).isEqualTo(Verdict.VERDICT_ALLOWED);
    assertThat(event.getStatus()).isEqualTo(101);
    assertThat(event.getBytesOut()).isGreaterThan(1_000_000);
  }

  @AttackRow(18)
  @Test
  void aSecretOfTheHandshakeIsSwappedAndNoFrameGivesItBack() throws Exception {
    Heard heard = new Heard();
    WebSocket socket = open(heard, "Authorization", "Bearer " + Harness.PLACEHOLDER);

    socket.sendText("credential", true).join();
    assertThat(heard.next()).isEqualTo("said: Bearer " + Harness.PLACEHOLDER);
    socket.sendText("fragments", true).join();
    assertThat(heard.next()).isEqualTo("Bearer " + Harness.PLACEHOLDER);
    socket.sendText("base64", true).join();
    assertThat(heard.next()).doesNotContain(base64(Harness.VALUE).substring(4, 30));
    socket.abort();

    assertThat(harness.broker.materialised).hasSize(1);
    AuditEvent event = harness.broker.event(e -> e.getPath().equals(path));
    assertThat(event.getSecret()).isEqualTo("api-key");
  }

  @AttackRow({10, 32})
  @ParameterizedTest
  @ValueSource(strings = {"text", "binary", "fragments", "ping", "close", "inside"})
  void aPlaceholderInAFrameIsNotPassedOn(String form) throws Exception {
    Heard heard = new Heard();
    WebSocket socket = open(heard);
    String placeholder = Harness.PLACEHOLDER;
    switch (form) {
      case "text" -> socket.sendText(placeholder, true).join();
      case "binary" ->
          socket.sendBinary(StandardCharsets.US_ASCII.encode(placeholder), true).join();
      case "fragments" ->
          socket
              .sendText(placeholder.substring(0, 20), false)
              .thenCompose(s -> s.sendText(placeholder.substring(20, 40), false))
              .thenCompose(s -> s.sendText(placeholder.substring(40), true))
              .join();
      case "ping" -> socket.sendPing(StandardCharsets.US_ASCII.encode(placeholder)).join();
      case "close" -> socket.sendClose(WebSocket.NORMAL_CLOSURE, placeholder).join();
      default ->
          socket
              .sendText("{\"key\": \"" + placeholder.replace("_", "\\u005f") + "\"}", true)
              .join();
    }

    assertThat(heard.next()).isEqualTo("close 1008 placeholder_outside_target");
    AuditEvent event = harness.broker.event(e -> e.getPath().equals(path));
    assertThat(event.getVerdict()).isEqualTo(Verdict.VERDICT_DENIED);
    assertThat(event.getReason()).isEqualTo(EgressReason.EGRESS_REASON_PLACEHOLDER_OUTSIDE_TARGET);
    assertThat(harness.upstream.heard).isEmpty();
    assertThat(harness.broker.materialised).isEmpty();
  }

  /** Packed frames could not be searched, so no extension gets through in either direction. */
  @AttackRow(32)
  @Test
  void extensionsAreNotAskedFor() throws Exception {
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      guest.send(
          "GET /socket HTTP/1.1\r\n"
              + HOST
              + ASKING
              + "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n");
      assertThat(guest.until("\r\n\r\n"))
          .startsWith("HTTP/1.1 101 ")
          .containsIgnoringCase("sec-websocket-accept: " + ACCEPT)
          .doesNotContainIgnoringCase("extensions");
      // A frame whose first reserved bit says that it is packed.
      guest.send(new byte[] {(byte) 0xc1, (byte) 0x81, 0, 0, 0, 0, 'x'});
      assertThat(guest.hungUpOn()).isTrue();
    }
    assertThat(harness.upstream.heard).isEmpty();
  }

  private static String switching(String... headers) {
    return "HTTP/1.1 101 Switching Protocols\r\n" + String.join("\r\n", headers) + "\r\n\r\n";
  }

  static List<String> falseAnswers() {
    String upgrade = "Connection: Upgrade\r\nUpgrade: websocket";
    String accept = "Sec-WebSocket-Accept: " + ACCEPT;
    return List.of(
        switching(upgrade, "Sec-WebSocket-Accept: " + KEY),
        switching(upgrade),
        switching(upgrade, accept, accept),
        switching("Connection: Upgrade", "Upgrade: h2c", accept),
        switching("Connection: Upgrade", "Upgrade: websocket", "Upgrade: h2c", accept),
        switching("Connection: close", "Upgrade: websocket", accept),
        switching(upgrade, accept, "Sec-WebSocket-Extensions: permessage-deflate"),
        switching(upgrade, accept, "Sec-WebSocket-Protocol: other"));
  }

  @AttackRow(32)
  @ParameterizedTest
  @MethodSource("falseAnswers")
  void aFalse101IsNotFollowed(String answer) throws Exception {
    try (ScriptedUpstream upstream = new ScriptedUpstream(_ -> answer + "behind it");
        RawGuest guest = cleartext(upstream.port())) {
      Answer given = guest.send(get("/", ASKING)).answer();

      assertThat(given.status()).isEqualTo(403);
      assertThat(given.reason()).isEqualTo("protocol_not_allowed");
      assertThat(given.body()).doesNotContain("behind it");
    }
  }

  @AttackRow(32)
  @ParameterizedTest
  @ValueSource(
      strings = {"\u0081\u0002hi", "HTTP/1.1 100 Continue\r\n\r\n\u0081\u0002hi", "hi\r\n\r\n"})
  void bytesOfAnUpstreamBeforeIts101AreNoAnswer(String before) throws Exception {
    String right =
        switching("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Accept: " + ACCEPT);
    try (ScriptedUpstream upstream = new ScriptedUpstream(_ -> before + right);
        RawGuest guest = cleartext(upstream.port())) {
      Answer given = guest.send(get("/", ASKING)).answer();

      assertThat(given.status()).isEqualTo(502);
      assertThat(given.reason()).isEqualTo("upstream_unreachable");
    }
  }

  /** What the guest sends ahead is read as frames once there is a 101, and as HTTP if not. */
  @AttackRow(32)
  @Test
  void framesOfTheGuestBeforeThe101AreSearchedLikeThoseAfter() throws Exception {
    String right =
        switching("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Accept: " + ACCEPT);
    String placeholder = Harness.PLACEHOLDER;
    try (ScriptedUpstream upstream = new ScriptedUpstream(_ -> right);
        RawGuest guest = cleartext(upstream.port())) {
      guest.send(
          get("/", ASKING + "Sec-WebSocket-Extensions: permessage-deflate\r\n")
              + "\u0081"
              + (char) (0x80 | placeholder.length())
              + "\0\0\0\0"
              + placeholder);
      assertThat(guest.hungUpOn()).isTrue();
      assertThat(upstream.received())
          .contains("GET / ")
          .doesNotContain(placeholder)
          .doesNotContainIgnoringCase("extensions");
    }
  }

  @AttackRow(32)
  @Test
  void withoutA101WhatFollowsIsTheNextRequestAndJudged() throws Exception {
    String no = "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n";
    try (ScriptedUpstream upstream = new ScriptedUpstream(_ -> no);
        RawGuest guest = cleartext(upstream.port())) {
      guest.send(get("/", ASKING) + "GET /second HTTP/1.1\r\nHost: evil.example.test\r\n\r\n");

      assertThat(guest.answer().status()).isEqualTo(426);
      assertThat(guest.answer().reason()).isEqualTo("host_not_allowed");
      assertThat(upstream.received()).doesNotContain("/second");
    }
  }

  static List<String> notQuiteAsking() {
    return List.of(
        get("/", ASKING).replace("GET", "POST"),
        get("/", ASKING.replace("13", "8")),
        get("/", ASKING.replace(KEY, "short")),
        get("/", ASKING + "Sec-WebSocket-Key: " + KEY + "\r\n"),
        get("/", ASKING + "Upgrade: h2c\r\n"),
        get("/", ASKING.replace("websocket", "websocket, h2c")),
        get("/", ASKING.replace("Connection: Upgrade", "Connection: keep-alive")),
        get("/", ASKING + "Content-Length: 1\r\n") + "x");
  }

  @AttackRow({31, 32})
  @ParameterizedTest
  @MethodSource("notQuiteAsking")
  void whatOnlyLooksLikeAHandshakeIsRefused(String request) throws Exception {
    refused(ask(request), 403, "protocol_not_allowed");
  }

  private RawGuest cleartext(int port) throws Exception {
    harness.policy(
        Harness.rule("api.example.test", harness.port, port),
        Harness.rule("other.example.test", harness.port));
    int listener = harness.listen("127.0.0.1", port);
    return new RawGuest(
        Harness.SLOT, new InetSocketAddress("127.0.0.1", listener), harness.lineage);
  }
}
