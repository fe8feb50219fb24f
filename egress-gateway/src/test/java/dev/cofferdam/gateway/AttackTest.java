package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.Verdict;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Rows of ATTACKS.md over HTTP/1.1. Unless a test says otherwise: nothing reached the upstream and
 * no value was asked for.
 */
final class AttackTest {
  private static final String HOST = "Host: api.example.test\r\n";
  private static Harness harness;

  @BeforeAll
  static void start(@TempDir Path directory) throws Exception {
    harness = new Harness(directory, false);
  }

  @AfterAll
  static void stop() throws Exception {
    harness.close();
  }

  @BeforeEach
  void forget() {
    harness.upstream.received.clear();
    harness.broker.materialised.clear();
    harness.broker.events.clear();
  }

  @AfterEach
  void restore() throws Exception {
    harness.broker.away = false;
    harness.nanos.set(0L);
    harness.asked.set(InetAddress.getByName("198.18.77.1"));
  }

  private static Answer ask(String request) throws IOException {
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      return guest.send(request).answer();
    }
  }

  private static void refused(Answer answer, int status, String reason) throws Exception {
    assertThat(answer.reason()).isEqualTo(reason);
    assertThat(answer.status()).isEqualTo(status);
    assertThat(answer.body()).contains("\"reason\": \"" + reason + "\"");
    nothingLeft();
    // By its reason: what the test before this one caused may be told as late as now.
    AuditEvent event =
        harness.broker.event(e ->
            e.getVerdict() == Verdict.VERDICT_DENIED
                && e.getReason().name().equalsIgnoreCase("EGRESS_REASON_" + reason));
    assertThat(event.getSandbox()).isEqualTo("sb-1");
  }

  private static void nothingLeft() {
    assertThat(harness.upstream.received).isEmpty();
    assertThat(harness.broker.materialised).isEmpty();
  }

  @Test
  void row1_fronting() throws Exception {
    refused(ask("GET / HTTP/1.1\r\nHost: other.example.test\r\n\r\n"), 421, "host_mismatch");
  }

  static List<String> malformed() {
    return List.of(
        // row 2
        "GET http://other.example.test/ HTTP/1.1\r\n" + HOST + "\r\n",
        "GET / HTTP/1.1\r\n" + HOST + HOST + "\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: user@api.example.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: \r\n\r\n",
        // row 7
        "POST / HTTP/1.1\r\n"
            + HOST
            + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n" + HOST + "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        "POST / HTTP/1.1\r\n" + HOST + "Content-Length: +1\r\n\r\nx",
        "POST / HTTP/1.1\r\n" + HOST + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n" + HOST + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n"
            + HOST
            + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\n" + HOST + "X-A: b\r\n c\r\n\r\n",
        "GET / HTTP/1.1\n" + HOST + "\r\n",
        "GET / HTTP/1.1\r\nHost: api.example.test\n\r\n",
        "GET / HTTP/1.1\r\n" + HOST + "X-A : b\r\n\r\n",
        "GET / HTTP/1.1\r\n" + HOST + "X-A: b\rX-B: c\r\n\r\n",
        "GET  / HTTP/1.1\r\n" + HOST + "\r\n",
        "GET / HTTP/1.1 \r\n" + HOST + "\r\n",
        "GET / HTTP/3.0\r\n" + HOST + "\r\n",
        // row 8
        "POST / HTTP/1.1\r\n"
            + HOST
            + "Transfer-Encoding: chunked\r\n\r\n1;a=\"\r\nx\r\n0\r\n\r\n\"\r\nx\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n"
            + HOST
            + "Transfer-Encoding: chunked\r\n\r\nfffffffff\r\nx\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n" + HOST + "Transfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n" + HOST + "Transfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n",
        // row 9
        "GET / HTTP/1.1\r\n" + HOST + "X-A: b\0c\r\n\r\n",
        "GET /a\0b HTTP/1.1\r\n" + HOST + "\r\n",
        "GET /a\tb HTTP/1.1\r\n" + HOST + "\r\n",
        "GET /#f HTTP/1.1\r\n" + HOST + "\r\n",
        "GET / HTTP/1.1\r\n" + HOST + ": b\r\n\r\n");
  }

  @ParameterizedTest
  @MethodSource("malformed")
  void rows2And7To9_whatTwoParsersCouldReadDifferently(String request) throws Exception {
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      refused(guest.send(request).answer(), 400, "malformed_request");
      assertThat(guest.closed()).isTrue();
    }
  }

  @Test
  void row4_noServerNameOrAnAddressAsOne() throws Exception {
    // A ClientHello of TLS 1.2 without extensions.
    byte[] hello =
        HexFormat.of()
            .parseHex("160301002d010000290303" + "00".repeat(32) + "00" + "0002c02b" + "0100");
    try (RawGuest guest = harness.guest()) {
      assertThat(guest.send(hello).closed()).isTrue();
    }
    AuditEvent event = harness.broker.event(e -> e.getProtocol().equals("tls"));
    assertThat(event.getReason()).isEqualTo(EgressReason.EGRESS_REASON_SNI_MISSING);
    nothingLeft();
  }

  /** Browsers send it to every server; the outer name is judged, the inner one leads nowhere. */
  @Test
  void row4_anEncryptedClientHelloIsIgnoredWhereTlsIsTerminated() throws Exception {
    try (RawGuest guest = harness.guest()) {
      // A handshake record: an alert would be 21.
      guest.send(ClientHellos.withEncrypted("api.example.test")).until("\u0016\u0003\u0003");
    }
    try (RawGuest guest = harness.guest()) {
      assertThat(guest.send(ClientHellos.withEncrypted("evil.example.test")).closed()).isTrue();
    }
    assertThat(harness.broker.event(e -> e.getHost().equals("evil.example.test")).getReason())
        .isEqualTo(EgressReason.EGRESS_REASON_HOST_NOT_ALLOWED);
    nothingLeft();
  }

  @Test
  void row5_theGuestsAddressIsNoAuthority() throws Exception {
    harness.asked.set(InetAddress.getByName("93.184.216.34"));

    assertThat(ask("GET / HTTP/1.1\r\n" + HOST + "\r\n").status()).isEqualTo(200);

    assertThat(harness.upstream.received).hasSize(1);
  }

  @Test
  void row5_anAddressOfAnotherNameIsAMismatch() throws Exception {
    var slot = harness.slots.at(InetAddress.getByName(Harness.SLOT)).orElseThrow();
    var name =
        (dev.cofferdam.gateway.policy.Host.Name)
            dev.cofferdam.gateway.policy.Host.parse("other.example.test").orElseThrow();
    harness.asked.set(slot.names().addressOf(name).orElseThrow());

    try (RawGuest guest = harness.guest()) {
      assertThatThrownBy(() -> guest.tls("api.example.test")).isInstanceOf(IOException.class);
    }
    assertThat(harness.broker.event(e -> e.getProtocol().equals("tls")).getReason())
        .isEqualTo(EgressReason.EGRESS_REASON_HOST_MISMATCH);
    nothingLeft();
  }

  @Test
  void row6_cleartextNeverCarriesASecret() throws Exception {
    try (RawGuest guest = harness.guest()) {
      refused(
          guest
              .send(
                  "GET / HTTP/1.1\r\n"
                      + HOST
                      + "Authorization: Bearer "
                      + Harness.PLACEHOLDER
                      + "\r\n\r\n")
              .answer(),
          403,
          "placeholder_cleartext");
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 7})
  void row10_splitOverWritesTheVerdictIsTheSame(int size) throws Exception {
    String request =
        "POST / HTTP/1.1\r\n"
            + HOST
            + "Transfer-Encoding: chunked\r\n\r\n"
            + "1a\r\n"
            + Harness.PLACEHOLDER.substring(0, 26)
            + "\r\n"
            + "1b\r\n"
            + Harness.PLACEHOLDER.substring(26)
            + "\r\n0\r\n\r\n";
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      // Each write is a TLS record of its own. The last one may meet a closed door.
      for (int at = 0; at < request.length(); at += size) {
        guest.send(request.substring(at, Math.min(request.length(), at + size)));
      }
      refused(guest.answer(), 403, "placeholder_outside_target");
    }
  }

  @Test
  void row10_thePipelinedSecondRequestIsJudgedLikeTheFirst() throws Exception {
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      guest.send(
          "GET /first HTTP/1.1\r\n"
              + HOST
              + "\r\nGET /second HTTP/1.1\r\n"
              + HOST
              + "User-Agent: "
              + Harness.PLACEHOLDER
              + "\r\n\r\n");

      assertThat(guest.answer().status()).isEqualTo(200);
      assertThat(guest.answer().reason()).isEqualTo("placeholder_outside_target");
    }
    assertThat(harness.upstream.received).hasSize(1);
  }

  @Test
  void row11_thePasswordOfBasicCredentialsIsSwapped() throws Exception {
    String credentials = "user:" + Harness.PLACEHOLDER;
    Answer answer =
        ask(
            "GET /echo HTTP/1.1\r\n"
                + HOST
                + "Authorization: Basic "
                + Base64.getEncoder()
                    .encodeToString(credentials.getBytes(StandardCharsets.US_ASCII))
                + "\r\n\r\n");

    assertThat(answer.status()).isEqualTo(200);
    byte[] sent = ("user:" + Harness.VALUE).getBytes(StandardCharsets.US_ASCII);
    assertThat(harness.upstream.received.getFirst().header("authorization"))
        .isEqualTo("Basic " + Base64.getEncoder().encodeToString(sent));
    assertThat(answer.body()).doesNotContain(Base64.getEncoder().encodeToString(sent));
  }

  @Test
  void row11_theUsernameIsNotThePassword() throws Exception {
    String credentials = Harness.PLACEHOLDER + ":x";
    refused(
        ask(
            "GET / HTTP/1.1\r\n"
                + HOST
                + "Authorization: Basic "
                + Base64.getEncoder()
                    .encodeToString(credentials.getBytes(StandardCharsets.US_ASCII))
                + "\r\n\r\n"),
        403,
        "placeholder_outside_target");
  }

  @ParameterizedTest
  @ValueSource(strings = {"%5F", "%255f", "\\u005f", "&#95;"})
  void row12_anEncodedPlaceholderIsFoundInAnyPart(String underscore) throws Exception {
    String encoded = Harness.PLACEHOLDER.replace("_", underscore);
    refused(
        ask(
            "POST / HTTP/1.1\r\n"
                + HOST
                + "Content-Length: "
                + encoded.length()
                + "\r\n\r\n"
                + encoded),
        403,
        "placeholder_outside_target");
  }

  @Test
  void row12_aPlaceholderInOtherCaseIsNoPlaceholderOfThisSandbox() throws Exception {
    refused(
        ask(
            "GET / HTTP/1.1\r\n"
                + HOST
                + "Authorization: "
                + Harness.PLACEHOLDER.replace("cofferdam", "COFFERDAM")
                + "\r\n\r\n"),
        403,
        "placeholder_foreign");
  }

  @Test
  void row13_aPackedBodyIsLookedInto() throws Exception {
    byte[] packed =
        TestUpstream.gzip(("key=" + Harness.PLACEHOLDER).getBytes(StandardCharsets.US_ASCII));
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      guest.send(
          "POST / HTTP/1.1\r\n"
              + HOST
              + "Content-Encoding: gzip\r\nContent-Length: "
              + packed.length
              + "\r\n\r\n");
      refused(guest.send(packed).answer(), 403, "placeholder_outside_target");
    }
  }

  /** More than is unpacked in one turn, before it and behind it. */
  @ParameterizedTest
  @ValueSource(ints = {0, 9_000_000})
  void row13_aPackedBodyIsLookedIntoToItsEnd(int before) throws Exception {
    byte[] plain = new byte[18_000_000];
    byte[] placeholder = Harness.PLACEHOLDER.getBytes(StandardCharsets.US_ASCII);
    System.arraycopy(placeholder, 0, plain, before, placeholder.length);
    byte[] packed = TestUpstream.gzip(plain);
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      guest.send(packedHead(packed));
      refused(guest.send(packed).answer(), 403, "placeholder_outside_target");
    }
  }

  @Test
  void row14_aBombIsNotUnpackedToItsEnd() throws Exception {
    // gzip members may follow one another: this one thirty times.
    byte[] member = TestUpstream.gzip(new byte[10 << 20]);
    byte[] packed = new byte[member.length * 30];
    for (int i = 0; i < 30; i++) {
      System.arraycopy(member, 0, packed, i * member.length, member.length);
    }
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      guest.send(packedHead(packed));
      refused(guest.send(packed).answer(), 413, "body_too_large");
    }
  }

  @Test
  void aPackedBodyThatTakesManyTurnsArrivesAsItWasAndTheNextRequestToo() throws Exception {
    byte[] packed = TestUpstream.gzip(new byte[18_000_000]);
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      guest.send(packedHead(packed)).send(packed);
      guest.send("GET /next HTTP/1.1\r\n" + HOST + "\r\n");
      assertThat(guest.answer().status()).isEqualTo(200);
      assertThat(guest.answer().status()).isEqualTo(200);
    }
    assertThat(harness.upstream.received.getFirst().body())
        .isEqualTo(new String(packed, StandardCharsets.ISO_8859_1));
    assertThat(harness.upstream.received.getLast().uri()).isEqualTo("/next");
  }

  private static String packedHead(byte[] packed) {
    return "POST / HTTP/1.1\r\n"
        + HOST
        + "Content-Encoding: gzip\r\nContent-Length: "
        + packed.length
        + "\r\n\r\n";
  }

  @ParameterizedTest
  @ValueSource(strings = {"br", "zstd", "deflate", "gzip, gzip", "gzip\r\nContent-Encoding: gzip"})
  void row13_aBodyThatCannotBeLookedIntoIsRefused(String coding) throws Exception {
    refused(
        ask(
            "POST / HTTP/1.1\r\n"
                + HOST
                + "Content-Encoding: "
                + coding
                + "\r\nContent-Length: 1\r\n\r\nx"),
        415,
        "content_encoding");
  }

  @Test
  void row16_aPlaceholderLateInALongBodyNeverLeavesWhole() throws Exception {
    String body = "x".repeat(300_000) + Harness.PLACEHOLDER + "y";
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      guest.send(
          "POST / HTTP/1.1\r\n" + HOST + "Content-Length: " + body.length() + "\r\n\r\n" + body);
      refused(guest.answer(), 403, "placeholder_outside_target");
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "User-Agent",
        "Origin",
        "Referer",
        "Sec-WebSocket-Protocol",
        "Idempotency-Key",
        "Cookie",
        "X-Forwarded-For"
      })
  void row17_aPlaceholderInAnotherHeader(String header) throws Exception {
    refused(
        ask("GET / HTTP/1.1\r\n" + HOST + header + ": " + Harness.PLACEHOLDER + "\r\n\r\n"),
        403,
        "placeholder_outside_target");
  }

  @ParameterizedTest
  @ValueSource(strings = {"/%s", "/?q=%s", "/a?%s=1"})
  void row17_aPlaceholderInTheTarget(String target) throws Exception {
    refused(
        ask("GET " + target.formatted(Harness.PLACEHOLDER) + " HTTP/1.1\r\n" + HOST + "\r\n"),
        403,
        "placeholder_outside_target");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"/echo", "/base64", "/hex", "/percent", "/header", "/trailer", "/bytes", "/gzip"})
  void rows18And19_anEchoGivesThePlaceholderNeverTheValue(String path) throws Exception {
    Answer answer =
        ask(
            "GET "
                + path
                + " HTTP/1.1\r\n"
                + HOST
                + "Accept-Encoding: gzip, br\r\n"
                + "Authorization: Bearer "
                + Harness.PLACEHOLDER
                + "\r\n\r\n");

    assertThat(answer.status()).isEqualTo(200);
    assertThat(harness.upstream.received.getFirst().header("authorization"))
        .isEqualTo("Bearer " + Harness.VALUE);
    assertThat(harness.upstream.received.getFirst().header("accept-encoding"))
        .isEqualTo("gzip, identity");
    byte[] value = Harness.VALUE.getBytes(StandardCharsets.US_ASCII);
    assertThat(answer.head() + answer.body())
        .contains(Harness.PLACEHOLDER)
        .doesNotContain(Harness.VALUE)
        .doesNotContain(HexFormat.of().formatHex(value))
        .doesNotContain(Base64.getEncoder().encodeToString(value).substring(4, 30));
  }

  @Test
  void row19_rangeIsRefusedWithASecret() throws Exception {
    refused(
        ask(
            "GET / HTTP/1.1\r\n"
                + HOST
                + "Range: bytes=0-1\r\nAuthorization: Bearer "
                + Harness.PLACEHOLDER
                + "\r\n\r\n"),
        403,
        "range_with_secret");
  }

  @Test
  void row19_anAnswerInAnEncodingThatWasNotAskedForIsNotGivenOn() throws Exception {
    Answer answer =
        ask(
            "GET /br HTTP/1.1\r\n"
                + HOST
                + "Authorization: Bearer "
                + Harness.PLACEHOLDER
                + "\r\n\r\n");

    assertThat(answer.status()).isEqualTo(502);
  }

  @Test
  void row21_thePlaceholderTwiceInOneTarget() throws Exception {
    refused(
        ask(
            "GET / HTTP/1.1\r\n"
                + HOST
                + "Authorization: "
                + Harness.PLACEHOLDER
                + " "
                + Harness.PLACEHOLDER
                + "\r\n\r\n"),
        403,
        "placeholder_too_often");
  }

  @Test
  void row22_aRedirectIsNotFollowed() throws Exception {
    Answer answer = ask("GET /redirect HTTP/1.1\r\n" + HOST + "\r\n");

    assertThat(answer.status()).isEqualTo(302);
    assertThat(answer.header("location")).contains("https://evil.example.test/");
    assertThat(harness.upstream.received).hasSize(1);
  }

  @ParameterizedTest
  @ValueSource(strings = {"2130706433", "0x7f.1", "127.1", "[::ffff:127.0.0.1]", "203.0.113.9"})
  void row24_aLiteralAddressInAnySpelling(String host) throws Exception {
    try (RawGuest guest = harness.guest()) {
      refused(
          guest.send("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n").answer(),
          403,
          "address_not_allowed");
    }
  }

  @Test
  void row25_aPinnedPrivateAddressNeverOpensAPortOfTheMesh() throws Exception {
    int listener = harness.listen("127.0.0.1", 7410);
    try (RawGuest guest =
        new RawGuest(Harness.SLOT, new InetSocketAddress("127.0.0.1", listener), harness.lineage)) {
      refused(
          guest.send("GET / HTTP/1.1\r\nHost: mesh.example.test:7410\r\n\r\n").answer(),
          403,
          "private_address");
    }
  }

  @Test
  void row31_connectIsRefused() throws Exception {
    refused(
        ask("CONNECT api.example.test:443 HTTP/1.1\r\n" + HOST + "\r\n"),
        403,
        "protocol_not_allowed");
  }

  @ParameterizedTest
  @ValueSource(strings = {"h2c", "websocket"})
  void row31_upgradesAreRefused(String protocol) throws Exception {
    refused(
        ask(
            "GET / HTTP/1.1\r\n"
                + HOST
                + "Connection: Upgrade\r\nUpgrade: "
                + protocol
                + "\r\n\r\n"),
        403,
        "protocol_not_allowed");
  }

  @Test
  void row31_whatIsNeitherTlsNorHttpIsClosed() throws Exception {
    try (RawGuest guest = harness.guest()) {
      assertThat(guest.send("SSH-2.0-OpenSSH_9.2\r\n").closed()).isTrue();
    }
    assertThat(harness.broker.event(e -> e.getProtocol().equals("tcp")).getReason())
        .isEqualTo(EgressReason.EGRESS_REASON_PROTOCOL_NOT_ALLOWED);
  }

  @Test
  void row33_aHeadThatNeverEndsIsNotWaitedFor() throws Exception {
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      assertThat(guest.send("GET / HTTP/1.1\r\nX-A: b\r\n").closed()).isTrue();
    }
    nothingLeft();
  }

  @Test
  void row34_hugeHeaders() throws Exception {
    refused(
        ask("GET / HTTP/1.1\r\n" + HOST + "X-A: " + "b".repeat(20_000) + "\r\n\r\n"),
        431,
        "headers_too_large");
  }

  @Test
  void row35_anUnknownSlotIsClosedAndTold() throws Exception {
    try (RawGuest guest =
        new RawGuest(
            "127.0.1.99", new InetSocketAddress("127.0.0.1", harness.port), harness.lineage)) {
      assertThat(guest.closed()).isTrue();
    }
    AuditEvent event =
        harness.broker.event(e -> e.getReason() == EgressReason.EGRESS_REASON_UNKNOWN_SLOT);
    assertThat(event.getMessage()).contains("127.0.1.99");
  }

  @Test
  void row36_aPlaceholderThatWasNotGrantedHere() throws Exception {
    String foreign = "cofferdam_" + "Q".repeat(43);
    refused(
        ask("GET / HTTP/1.1\r\n" + HOST + "Authorization: Bearer " + foreign + "\r\n\r\n"),
        403,
        "placeholder_foreign");
  }

  @Test
  void row37_aPlaceholderSentToTheHostOfAnother() throws Exception {
    refused(
        ask("GET / HTTP/1.1\r\n" + HOST + "Authorization: Bearer " + Harness.OTHER + "\r\n\r\n"),
        403,
        "placeholder_host_not_bound");
  }

  @Test
  void row45_withTheBrokerAwayOnlyRequestsWithoutASecretPass() throws Exception {
    harness.broker.away = true;

    Answer needing =
        ask(
            "GET / HTTP/1.1\r\n"
                + HOST
                + "Authorization: Bearer "
                + Harness.PLACEHOLDER
                + "\r\n\r\n");

    refused(needing, 503, "broker_unavailable");
    assertThat(ask("GET / HTTP/1.1\r\n" + HOST + "\r\n").status()).isEqualTo(200);
  }

  @Test
  void row45_afterTheLeaseNothingPasses() throws Exception {
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      harness.nanos.set(java.time.Duration.ofMinutes(11).toNanos());

      refused(guest.send("GET / HTTP/1.1\r\n" + HOST + "\r\n").answer(), 503, "lease_expired");
    }
    try (RawGuest guest = harness.guest()) {
      assertThat(guest.closed()).isTrue();
    }
  }

  @Test
  void row54_anAnswerWithAWeakValueIsBlockedWhole() throws Exception {
    Answer answer =
        ask("GET /echo HTTP/1.1\r\n" + HOST + "Authorization: Bearer " + Harness.WEAK + "\r\n\r\n");

    assertThat(answer.status()).isEqualTo(502);
    assertThat(answer.reason()).isEqualTo("weak_value_in_answer");
    assertThat(answer.body()).doesNotContain("short");
  }

  @ParameterizedTest
  @CsvSource({"GET, 0", "HEAD, 0", "POST, 5"})
  void ordinaryRequestsOfEveryKindPass(String method, int length) throws Exception {
    Answer answer =
        ask(
            method
                + " / HTTP/1.1\r\n"
                + HOST
                + (length > 0 ? "Content-Length: " + length + "\r\n" : "")
                + "Connection: close\r\n\r\n"
                + "x".repeat(length));

    assertThat(answer.status()).isEqualTo(200);
    assertThat(harness.upstream.received.getFirst().body()).isEqualTo("x".repeat(length));
  }
}
