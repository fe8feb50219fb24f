package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import com.google.protobuf.ByteString;
import dev.cofferdam.gateway.placeholder.PlaceholderHash;
import dev.cofferdam.internal.v1.Attachment;
import dev.cofferdam.internal.v1.GrantedBinding;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.DataDetector;
import dev.cofferdam.v1.DataRule;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.Verdict;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.KeyPair;
import java.time.Duration;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Programs in no sandbox, at the explicit proxy. */
final class ExplicitProxyTest {
  private static final String TOKEN = "cfp_" + "T1o2K3e4N5t6O7k8E9n0T1o2K3e4N5t6O7k8E9n0abc";
  private static final String KEY = "cofferdam_" + "S1e2S3s4I5o6N7s8E9s0S1i2O3n4S5e6S7s8I9o0Nab";
  private static final String FRAME_KEY =
      "cofferdam_" + "F1r2A3m4E5k6E7y8F9r0A1m2E3k4E5y6F7r8A9m0Eke";

  /** That no packet can come from. */
  private static final String ADDRESS = "100:0:0:0:1:2:3:4";

  private static final AtomicLong revisions = new AtomicLong();
  private static Harness harness;
  private static PlainUpstream plain;
  private static InetSocketAddress proxy;

  @BeforeAll
  static void start(@TempDir Path directory) throws Exception {
    harness = new Harness(directory, false);
    plain = new PlainUpstream();
    proxy = listen(Optional.empty());
    harness.broker.secret(KEY, Harness.VALUE);
    harness.broker.secret(FRAME_KEY, Harness.OTHER_VALUE);
    put(session());
  }

  @AfterAll
  static void stop() throws Exception {
    plain.close();
    harness.close();
  }

  @BeforeEach
  void forget() {
    harness.upstream.received.clear();
    harness.broker.materialised.clear();
    harness.broker.events.clear();
  }

  private static InetSocketAddress listen(Optional<SslContext> tls) {
    return harness.listeners.listenProxy(
        new InetSocketAddress("127.0.0.1", 0), harness.surroundings, tls);
  }

  private static ByteString hash(String token) {
    return ByteString.copyFrom(PlaceholderHash.of(token).bytes());
  }

  private static EgressPolicy.Builder session() {
    return EgressPolicy.newBuilder()
        .addRules(Harness.rule("api.example.test", harness.port, plain.port()))
        .addRules(Harness.rule("mesh.example.test", 7410))
        .addRules(Harness.rule("self.example.test", harness.port));
  }

  /** Returns once it is in force. */
  private static void put(EgressPolicy.Builder policy) {
    long revision = revisions.incrementAndGet();
    harness.broker.put(
        Attachment.newBuilder()
            .setSandbox("es-1")
            .setTenant("default")
            .setLineage("ln-es-1")
            .setGeneration(1)
            .setNode("explicit-proxy")
            .setSlotAddress(ADDRESS)
            .setPolicyRevision(revision)
            .setPolicy(policy)
            .addSecrets(Harness.granted("session-key", KEY, "api.example.test", false))
            .addSecrets(
                Harness.granted("frame-key", FRAME_KEY, "api.example.test", false).toBuilder()
                    .addBindings(
                        GrantedBinding.newBuilder()
                            .addHosts("api.example.test")
                            .addTargets("websocket-frame")
                            .setOccurrences(1)))
            .setProxyTokenSha256(hash(TOKEN))
            .build());
    long end = System.nanoTime() + Duration.ofSeconds(20).toNanos();
    while (harness
        .slots
        .ofToken(hash(TOKEN))
        .filter(slot -> slot.attachment().revision() == revision)
        .isEmpty()) {
      if (System.nanoTime() > end) {
        throw new AssertionError("the session never came into force");
      }
      LockSupport.parkNanos(1_000_000);
    }
  }

  private static RawGuest program(InetSocketAddress to) throws IOException {
    return new RawGuest("127.0.0.1", to, harness.lineage);
  }

  private static RawGuest program() throws IOException {
    return program(proxy);
  }

  private static String bearer() {
    return "Proxy-Authorization: Bearer " + TOKEN + "\r\n";
  }

  private static String connect(String host, int port) {
    return "CONNECT %s:%d HTTP/1.1\r\nHost: %s:%d\r\n%s\r\n"
        .formatted(host, port, host, port, bearer());
  }

  private static RawGuest tunnel(RawGuest program, String host, int port) throws IOException {
    assertThat(program.send(connect(host, port)).until("\r\n\r\n")).startsWith("HTTP/1.1 200 ");
    return program;
  }

  private static String get(String path, String... headers) {
    return "GET %s HTTP/1.1\r\nHost: api.example.test\r\n%s\r\n"
        .formatted(path, String.join("", List.of(headers).stream().map(h -> h + "\r\n").toList()));
  }

  @Test
  void aProgramInNoSandboxUsesAKeyThatItDoesNotHold() throws Exception {
    try (RawGuest program = tunnel(program(), "api.example.test", harness.port)) {
      Answer answer =
          program
              .tls("api.example.test")
              .send(get("/echo", "Authorization: Bearer " + KEY))
              .answer();
      assertThat(answer.status()).isEqualTo(200);
      assertThat(answer.body()).contains(KEY).doesNotContain(Harness.VALUE);
    }
    assertThat(harness.upstream.received.getFirst().header("authorization"))
        .isEqualTo("Bearer " + Harness.VALUE);
    assertThat(harness.upstream.received.getFirst().headers())
        .doesNotContainKey("Proxy-Authorization");
    assertThat(harness.broker.materialised.getFirst().getSandbox()).isEqualTo("es-1");
    assertThat(harness.broker.materialised.getFirst().getSlotAddress()).isEqualTo(ADDRESS);
    AuditEvent event = harness.broker.event(e -> e.getPath().equals("/echo"));
    assertThat(event.getSandbox()).isEqualTo("es-1");
    assertThat(event.getSecret()).isEqualTo("session-key");
  }

  @Test
  void aMessageOfAWebSocketToo() throws Exception {
    harness.upstream.heard.clear();
    try (RawGuest program = tunnel(program(), "api.example.test", harness.port)) {
      String begun =
          program
              .tls("api.example.test")
              .send(
                  get(
                      "/socket",
                      "Connection: Upgrade",
                      "Upgrade: websocket",
                      "Sec-WebSocket-Version: 13",
                      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="))
              .until("\r\n\r\n");
      assertThat(begun).startsWith("HTTP/1.1 101 ");
      // A text of less than 126 bytes, masked with zeros.
      byte[] text = ("key " + FRAME_KEY).getBytes(StandardCharsets.US_ASCII);
      byte[] frame =
          Arrays.copyOf(new byte[] {(byte) 0x81, (byte) (0x80 | text.length)}, 6 + text.length);
      System.arraycopy(text, 0, frame, 6, text.length);
      assertThat(program.send(frame).until(FRAME_KEY)).contains("said: key " + FRAME_KEY);
    }
    assertThat(harness.upstream.heard).containsExactly("key " + Harness.OTHER_VALUE);
    assertThat(harness.broker.materialised.getFirst().getSandbox()).isEqualTo("es-1");
  }

  /** As a URL with credentials makes clients send it. */
  @Test
  void theTokenMayBeAPassword() throws Exception {
    String credentials =
        Base64.getEncoder().encodeToString(("any:" + TOKEN).getBytes(StandardCharsets.US_ASCII));
    try (RawGuest program = program()) {
      String answer =
          program
              .send(
                  "CONNECT api.example.test:%d HTTP/1.0\r\nproxy-authorization: basic %s\r\n\r\n"
                      .formatted(harness.port, credentials))
              .until("\r\n\r\n");
      assertThat(answer).startsWith("HTTP/1.1 200 ");
      assertThat(program.tls("api.example.test").send(get("/plain")).answer().status())
          .isEqualTo(200);
    }
  }

  @Test
  void cleartextGoesByAbsoluteUrlAndEachRequestIsItsOwn() throws Exception {
    int before = plain.connections();
    for (String host : List.of("api.example.test", "API.example.test")) {
      try (RawGuest program = program()) {
        Answer answer =
            program
                .send(
                    "GET http://%s:%d/one?q=1 HTTP/1.1\r\nHost: %s:%d\r\nProxy-Connection: keep-alive\r\n%s\r\n"
                        .formatted(host, plain.port(), host, plain.port(), bearer()))
                .answer();
        assertThat(answer.status()).isEqualTo(200);
        assertThat(answer.header("connection")).contains("close");
        assertThat(program.hungUpOn()).isTrue();
      }
    }
    assertThat(plain.connections()).isGreaterThan(before);
    assertThat(plain.requests()).contains("GET /one?q=1 HTTP/1.1");
    AuditEvent event = harness.broker.event(e -> e.getPath().equals("/one"));
    assertThat(event.getProtocol()).isEqualTo("http");
    assertThat(event.getSandbox()).isEqualTo("es-1");
  }

  /** Neither the token nor what else is the proxy's leaves, whatever Connection says. */
  @Test
  void whatIsForTheProxyIsNotForwarded() throws Exception {
    try (ScriptedUpstream upstream =
        new ScriptedUpstream(_ -> "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) {
      put(session().addRules(Harness.rule("other.example.test", upstream.port())));
      try (RawGuest program = program()) {
        String request =
            "POST http://other.example.test:%d HTTP/1.1\r\nHost: other.example.test:%d\r\nContent-Length: 4\r\nPROXY-connection: x\r\nX-Kept: yes\r\n%s\r\nbody"
                .formatted(upstream.port(), upstream.port(), bearer());
        assertThat(program.send(request).answer().status()).isEqualTo(200);
      }
      assertThat(upstream.receivedTo("body"))
          .startsWith("POST / HTTP/1.1\r\n")
          .containsIgnoringCase("x-kept: yes")
          .doesNotContainIgnoringCase("proxy-")
          .doesNotContain(TOKEN);
    }
  }

  @AttackRow(6)
  @Test
  void noSecretLeavesInCleartext() throws Exception {
    try (RawGuest program = program()) {
      Answer answer =
          program
              .send(
                  "GET http://api.example.test:%d/ HTTP/1.1\r\nHost: api.example.test:%d\r\nX-Api-Key: %s\r\n%s\r\n"
                      .formatted(plain.port(), plain.port(), KEY, bearer()))
              .answer();
      assertThat(answer.reason()).isEqualTo("placeholder_cleartext");
    }
    assertThat(harness.broker.materialised).isEmpty();
  }

  static List<String> noTokens() {
    return List.of(
        "",
        "Proxy-Authorization: Bearer cfp_" + "x".repeat(43) + "\r\n",
        "Proxy-Authorization: Bearer " + TOKEN + "x\r\n",
        "Proxy-Authorization: Bearer\r\n",
        "Proxy-Authorization: Digest " + TOKEN + "\r\n",
        "Proxy-Authorization: Basic " + TOKEN + "\r\n",
        "Proxy-Authorization: Basic %%%\r\n",
        "Authorization: Bearer " + TOKEN + "\r\n",
        // Which of the two is meant would be anybody's guess.
        "Proxy-Authorization: Bearer " + TOKEN + "\r\nProxy-Authorization: Bearer x\r\n",
        "Proxy-Authorization: Bearer " + Harness.PLACEHOLDER + "\r\n");
  }

  @ParameterizedTest
  @MethodSource("noTokens")
  void withoutTheTokenOfASessionNothingIsLetOut(String header) throws Exception {
    int connections = harness.upstream.connections.get();
    int port = harness.port;
    for (String line :
        List.of(
            "CONNECT api.example.test:%d HTTP/1.1\r\nHost: api.example.test:%d\r\n",
            "GET http://api.example.test:%d/ HTTP/1.1\r\nHost: api.example.test:%d\r\n")) {
      try (RawGuest program = program()) {
        Answer answer = program.send(line.formatted(port, port) + header + "\r\n").answer();
        assertThat(answer.status()).isEqualTo(407);
        assertThat(answer.reason()).isEqualTo("proxy_authentication");
        assertThat(answer.header("proxy-authenticate")).isPresent();
        assertThat(program.hungUpOn()).isTrue();
      }
    }
    // Repeats within a second are told together.
    AuditEvent event = harness.broker.event(e -> e.getSandbox().isEmpty());
    assertThat(event.getReason()).isEqualTo(EgressReason.EGRESS_REASON_PROXY_AUTHENTICATION);
    assertThat(event.toString()).doesNotContain(TOKEN);
    assertThat(harness.upstream.connections).hasValue(connections);
  }

  /** By any address: a session is in no slot, and a slot is no session. */
  @AttackRow(35)
  @Test
  void aSandboxInASlotIsNoSessionAndASessionNoSlot() throws Exception {
    assertThat(harness.slots.at(InetAddress.getByName(ADDRESS))).isEmpty();
    try (RawGuest guest = new RawGuest(Harness.SLOT, proxy, harness.lineage)) {
      assertThat(
              guest
                  .send("CONNECT api.example.test:%d HTTP/1.1\r\n\r\n".formatted(harness.port))
                  .answer()
                  .status())
          .isEqualTo(407);
    }
  }

  @AttackRow(36)
  @Test
  void theSandboxsPlaceholderIsForeignInTheSession() throws Exception {
    try (RawGuest program = tunnel(program(), "api.example.test", harness.port)) {
      Answer answer =
          program
              .tls("api.example.test")
              .send(get("/echo", "Authorization: Bearer " + Harness.PLACEHOLDER))
              .answer();
      assertThat(answer.reason()).isEqualTo("placeholder_foreign");
    }
    assertThat(harness.broker.materialised).isEmpty();
  }

  record Asked(String target, int status, EgressReason reason) {}

  static List<Asked> refused() {
    return List.of(
        new Asked("evil.example.test:443", 403, EgressReason.EGRESS_REASON_HOST_NOT_ALLOWED),
        new Asked(
            "api.example.test.evil.test:443", 403, EgressReason.EGRESS_REASON_HOST_NOT_ALLOWED),
        new Asked("api.example.test:22", 403, EgressReason.EGRESS_REASON_PORT_NOT_ALLOWED),
        new Asked("127.0.0.1:7410", 403, EgressReason.EGRESS_REASON_ADDRESS_NOT_ALLOWED),
        new Asked("2130706433:7410", 403, EgressReason.EGRESS_REASON_ADDRESS_NOT_ALLOWED),
        new Asked("0x7f.1:7410", 403, EgressReason.EGRESS_REASON_ADDRESS_NOT_ALLOWED),
        new Asked("[::1]:7410", 403, EgressReason.EGRESS_REASON_ADDRESS_NOT_ALLOWED),
        new Asked(
            "[::ffff:169.254.169.254]:80", 403, EgressReason.EGRESS_REASON_ADDRESS_NOT_ALLOWED),
        // A synthetic address that some name may have.
        new Asked("198.18.77.1:443", 403, EgressReason.EGRESS_REASON_ADDRESS_NOT_ALLOWED));
  }

  @AttackRow(24)
  @ParameterizedTest
  @MethodSource("refused")
  void whereThePolicyDoesNotLetIt(Asked asked) throws Exception {
    try (RawGuest program = program()) {
      Answer answer =
          program
              .send("CONNECT %s HTTP/1.1\r\n%s\r\n".formatted(asked.target(), bearer()))
              .answer();
      assertThat(answer.status()).isEqualTo(asked.status());
      assertThat(program.hungUpOn()).isTrue();
    }
    AuditEvent event = harness.broker.event(e -> e.getSandbox().equals("es-1"));
    assertThat(event.getVerdict()).isEqualTo(Verdict.VERDICT_DENIED);
    assertThat(event.getReason()).isEqualTo(asked.reason());
  }

  @AttackRow(25)
  @Test
  void noPortOfTheMeshAndNoPrivateAddressByName() throws Exception {
    try (RawGuest program = tunnel(program(), "mesh.example.test", 7410)) {
      Answer answer =
          program
              .tls("mesh.example.test")
              .send("GET / HTTP/1.1\r\nHost: mesh.example.test\r\n\r\n")
              .answer();
      assertThat(answer.reason()).isEqualTo("private_address");
    }
  }

  @AttackRow(1)
  @Test
  void whatIsInsideHasToAgreeWithWhatWasAskedFor() throws Exception {
    try (RawGuest program = tunnel(program(), "api.example.test", harness.port)) {
      assertThat(catchThrowable(() -> program.tls("self.example.test")))
          .isInstanceOf(IOException.class);
    }
    assertThat(harness.broker.event(e -> e.getProtocol().equals("tls")).getReason())
        .isEqualTo(EgressReason.EGRESS_REASON_HOST_MISMATCH);
    try (RawGuest program = tunnel(program(), "api.example.test", harness.port)) {
      Answer answer =
          program
              .tls("api.example.test")
              .send("GET / HTTP/1.1\r\nHost: self.example.test\r\n\r\n")
              .answer();
      assertThat(answer.status()).isEqualTo(421);
    }
    // Cleartext in a tunnel is judged by its Host, which has to be CONNECT's.
    try (RawGuest program = tunnel(program(), "api.example.test", harness.port)) {
      assertThat(
              program.send("GET / HTTP/1.1\r\nHost: self.example.test\r\n\r\n").answer().status())
          .isEqualTo(421);
    }
    assertThat(harness.upstream.received).isEmpty();
  }

  @AttackRow(2)
  @ParameterizedTest
  @ValueSource(
      strings = {
        "CONNECT api.example.test HTTP/1.1\r\n",
        "CONNECT api.example.test:0 HTTP/1.1\r\n",
        "CONNECT api.example.test:99999 HTTP/1.1\r\n",
        "CONNECT user@api.example.test:443 HTTP/1.1\r\n",
        "CONNECT http://api.example.test:443 HTTP/1.1\r\n",
        "CONNECT /:443 HTTP/1.1\r\n",
        "CONNECT  api.example.test:443 HTTP/1.1\r\n",
        "CONNECT api.example.test:443 HTTP/2.0\r\n",
        "CONNECT api.example.test:443\r\n",
        "CONNECT api.example.test:443 HTTP/1.1\r\nContent-Length: 5\r\n",
        "CONNECT api.example.test:443 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n",
        "CONNECT api.example.test:443 HTTP/1.1\r\nHost: self.example.test:443\r\n",
        "CONNECT api.example.test:443 HTTP/1.1\r\nHost: api.example.test:80\r\n",
        "CONNECT a.example.test:443 HTTP/1.1\r\nHost: a.example.test\r\nHost: a.example.test\r\n",
        "CONNECT api.example.test:443 HTTP/1.1\r\nX: y\r\n folded\r\n",
        "CONNECT api.example.test:443 HTTP/1.1\r\nX : y\r\n",
        "CONNECT api.example.test:443 HTTP/1.1\nX: y\r\n",
        "CONNECT api.example.test:443 HTTP/1.1\r\nX: \0\r\n",
        "GET / HTTP/1.1\r\nHost: api.example.test\r\n",
        "GET https://api.example.test/ HTTP/1.1\r\nHost: api.example.test\r\n",
        "GET ftp://api.example.test/ HTTP/1.1\r\nHost: api.example.test\r\n",
        "GET http://user:pass@api.example.test/ HTTP/1.1\r\nHost: api.example.test\r\n",
        "GET http:///etc HTTP/1.1\r\nHost: api.example.test\r\n",
        "GET http://api.example.test/#x HTTP/1.1\r\nHost: api.example.test\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: api.example.test\r\n",
        "PRI * HTTP/2.0\r\n",
      })
  void whatTwoWouldReadDifferentlyIsRefused(String head) throws Exception {
    int connections = harness.upstream.connections.get() + plain.connections();
    try (RawGuest program = program()) {
      Answer answer = program.send(head + bearer() + "\r\n").answer();
      assertThat(answer.status()).isIn(400, 421);
      assertThat(program.hungUpOn()).isTrue();
    }
    assertThat(harness.upstream.connections.get() + plain.connections()).isEqualTo(connections);
  }

  /** Of an absolute URL it is Host's own strict reader that decides. */
  @AttackRow(2)
  @ParameterizedTest
  @ValueSource(
      strings = {
        "Host: self.example.test\r\n",
        "Host: api.example.test:1\r\n",
        "",
        "Host: api.example.test\r\nHost: api.example.test\r\n",
        "Host: api.example.test\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "Host: api.example.test\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
      })
  void anAbsoluteUrlAndHostHaveToAgree(String headers) throws Exception {
    int connections = plain.connections();
    try (RawGuest program = program()) {
      Answer answer =
          program
              .send(
                  "GET http://api.example.test:%d/ HTTP/1.1\r\n".formatted(plain.port())
                      + headers
                      + bearer()
                      + "\r\n")
              .answer();
      assertThat(answer.status()).isIn(400, 421);
    }
    assertThat(plain.connections()).isEqualTo(connections);
  }

  @AttackRow(34)
  @Test
  void aHeadHasAnEndAndTlsIsNoRequest() throws Exception {
    try (RawGuest program = program()) {
      Answer answer = program.send("GET http://x/ HTTP/1.1\r\nX: " + "y".repeat(17 << 10)).answer();
      assertThat(answer.status()).isEqualTo(431);
    }
    try (RawGuest program = program()) {
      assertThat(program.send(ClientHellos.of("api.example.test")).closed()).isTrue();
    }
  }

  @AttackRow(10)
  @Test
  void theHeadMayComeByteByByte() throws Exception {
    try (RawGuest program = program()) {
      for (byte b : connect("api.example.test", harness.port).getBytes(StandardCharsets.US_ASCII)) {
        program.send(new byte[] {b});
      }
      assertThat(program.until("\r\n\r\n")).startsWith("HTTP/1.1 200 ");
    }
  }

  @AttackRow(48)
  @Test
  void anUpdateClosesWhatItForbidsAndTheEndClosesAll() throws Exception {
    put(session());
    try (RawGuest program =
        tunnel(program(), "self.example.test", harness.port).tls("self.example.test")) {
      put(EgressPolicy.newBuilder().addRules(Harness.rule("api.example.test", harness.port)));
      assertThat(program.hungUpOn()).isTrue();
    }
    try (RawGuest program =
        tunnel(program(), "api.example.test", harness.port).tls("api.example.test")) {
      harness.broker.detach("es-1");
      assertThat(program.hungUpOn()).isTrue();
    }
    try (RawGuest program = program()) {
      assertThat(program.send(connect("api.example.test", harness.port)).answer().status())
          .isEqualTo(407);
    } finally {
      put(session());
    }
  }

  @AttackRow(56)
  @Test
  void dataRulesHoldForAProgramInNoSandbox() throws Exception {
    put(
        session()
            .addData(
                DataRule.newBuilder().addDetectors(DataDetector.DATA_DETECTOR_EMAIL_ADDRESSES)));
    String target = "/?to=jane.doe%40example.com";
    try (RawGuest program = tunnel(program(), "api.example.test", harness.port);
        RawGuest cleartext = program()) {
      assertThat(program.tls("api.example.test").send(get(target)).answer().reason())
          .isEqualTo("data_not_allowed");
      assertThat(
              cleartext
                  .send(
                      "GET http://api.example.test:%d%s HTTP/1.1\r\nHost: api.example.test:%d\r\n%s\r\n"
                          .formatted(plain.port(), target, plain.port(), bearer()))
                  .answer()
                  .reason())
          .isEqualTo("data_not_allowed");
      assertThat(harness.upstream.received).isEmpty();
    } finally {
      put(session());
    }
  }

  /** A node speaks of what is on it, and a session is on none. */
  @AttackRow(53)
  @Test
  void noNodeEndsASession() throws Exception {
    harness.slots.detach("es-1", "node-1", Long.MAX_VALUE);
    tunnel(program(), "api.example.test", harness.port).close();
  }

  @AttackRow(49)
  @Test
  void onceTheLeaseHasEndedNothingGoes() throws Exception {
    try (RawGuest open =
        tunnel(program(), "api.example.test", harness.port).tls("api.example.test")) {
      harness.nanos.set(Duration.ofDays(1).toNanos());
      try (RawGuest program = program()) {
        Answer answer = program.send(connect("api.example.test", harness.port)).answer();
        assertThat(answer.reason()).isEqualTo("lease_expired");
      }
      assertThat(open.send(get("/plain")).answer().reason()).isEqualTo("lease_expired");
    } finally {
      harness.nanos.set(0L);
    }
  }

  @Test
  void theProxyItselfMaySpeakTls() throws Exception {
    KeyPair key = TestPki.newKey();
    InetSocketAddress secure =
        listen(
            Optional.of(
                SslContextBuilder.forServer(
                        key.getPrivate(),
                        harness.lineage.leaf(
                            key.getPublic(), Duration.ofHours(1), "proxy.example.test"))
                    .build()));
    try (RawGuest program =
        tunnel(program(secure).tls("proxy.example.test"), "api.example.test", harness.port)) {
      Answer answer =
          program
              .tls("api.example.test")
              .send(get("/echo", "Authorization: Bearer " + KEY))
              .answer();
      assertThat(answer.status()).isEqualTo(200);
    }
    assertThat(harness.upstream.received.getFirst().header("authorization"))
        .isEqualTo("Bearer " + Harness.VALUE);
    try (RawGuest program = program(secure)) {
      program.send(connect("api.example.test", harness.port));
      assertThat(program.hungUpOn()).isTrue();
    }
  }

  @Test
  void whatARulePassesThroughIsRelayedWhoeverSpeaksFirst() throws Exception {
    try (ServerSocket server = new ServerSocket(0, 50, InetAddress.getByName("127.0.0.2"))) {
      EgressRule rule =
          Harness.rule("api.example.test", server.getLocalPort()).toBuilder()
              .setPassthrough(true)
              .build();
      put(session().addRules(rule));
      try (RawGuest program = tunnel(program(), "api.example.test", server.getLocalPort());
          Socket accepted = server.accept()) {
        accepted.getOutputStream().write("SSH-2.0-x\n".getBytes(StandardCharsets.US_ASCII));
        assertThat(program.until("\n")).isEqualTo("SSH-2.0-x\n");
        program.send("hello\n");
        assertThat(accepted.getInputStream().readNBytes(6))
            .isEqualTo("hello\n".getBytes(StandardCharsets.US_ASCII));
      }
    }
    AuditEvent event = harness.broker.event(AuditEvent::getUninspected);
    assertThat(event.getSandbox()).isEqualTo("es-1");
  }
}
