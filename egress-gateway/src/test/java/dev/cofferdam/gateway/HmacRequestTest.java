package dev.cofferdam.gateway;

import static dev.cofferdam.gateway.Harness.OTHER;
import static dev.cofferdam.gateway.Harness.PLACEHOLDER;
import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.internal.v1.GrantedBinding;
import dev.cofferdam.internal.v1.GrantedSecret;
import dev.cofferdam.internal.v1.HeaderToSign;
import dev.cofferdam.internal.v1.PlaceholderUse;
import dev.cofferdam.internal.v1.RequestToSign;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.HmacSignature;
import dev.cofferdam.v1.Verdict;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Signatures by HMAC, as far as the gateway has to do with them: the key is never here. */
final class HmacRequestTest {
  private static final String SIGNATURE = "0123456789abcdef".repeat(4);
  private static final String HASHED = "cofferdam_" + "H1a2H3a4H5a6H7a8H9a0H1a2H3a4H5a6H7a8H9a0HHa";
  private static final String QUERY = "cofferdam_" + "Q1u2e3r4y5Q6u7e8r9y0Q1u2e3r4y5Q6u7e8r9y0QQu";
  private static final String REQUIRED =
      "cofferdam_" + "R1q2R3q4R5q6R7q8R9q0R1q2R3q4R5q6R7q8R9q0RRq";
  private static final String HOST = "Host: api.example.test\r\n";
  private static final String SIGNED =
      HOST + "X-Signature: " + PLACEHOLDER + "\r\nX-Nonce: n 1\r\n";

  private static Harness harness;

  @BeforeAll
  static void start(@TempDir Path directory) throws Exception {
    harness = new Harness(directory, false);
    HmacSignature.Builder body =
        HmacSignature.newBuilder()
            .setHeader("x-signature")
            .setMessage("{timestamp}{method}{target}{header:x-nonce}{body}")
            .setTimestampHeader("x-time");
    HmacSignature.Builder hashed =
        HmacSignature.newBuilder().setHeader("x-hashed").setMessage("{path}{body:sha256}");
    HmacSignature.Builder query =
        HmacSignature.newBuilder().setQuery("signature").setMessage("{method}{target}");
    harness.apply(
        Harness.attachment(harness.port)
            .setPolicyRevision(2)
            .clearSecrets()
            .addSecrets(granted("hook", PLACEHOLDER, "api.example.test", false, body))
            .addSecrets(granted("query", QUERY, "api.example.test", false, query))
            .addSecrets(granted("query-required", REQUIRED, "other.example.test", true, query))
            .addSecrets(granted("hashed", HASHED, "other.example.test", true, hashed))
            .addSecrets(
                granted(
                    "key",
                    OTHER,
                    "api.example.test",
                    false,
                    null,
                    "header:x-key",
                    "header:x-nonce",
                    "header:x-time",
                    "basic:password",
                    "query:key",
                    "json:/key"))
            .build());
  }

  private static GrantedSecret granted(
      String name,
      String placeholder,
      String host,
      boolean require,
      HmacSignature.@Nullable Builder by,
      String... targets) {
    GrantedBinding.Builder binding =
        GrantedBinding.newBuilder().addHosts(host).setOccurrences(1).setRequire(require);
    if (by != null) {
      binding
          .setHmac(by)
          .addTargets(
              by.getQuery().isEmpty() ? "hmac:" + by.getHeader() : "hmac-query:" + by.getQuery());
    }
    return Harness.granted(name, placeholder, host, false).toBuilder()
        .clearBindings()
        .addBindings(binding.addAllTargets(List.of(targets)))
        .build();
  }

  @AfterAll
  static void stop() throws Exception {
    harness.close();
  }

  @BeforeEach
  void forget() {
    harness.broker.secret(PLACEHOLDER, SIGNATURE + "\nv1=" + SIGNATURE + "\n1700000000");
    harness.broker.secret(QUERY, "c2lnbmF0dXJl/+A=\nc2lnbmF0dXJl/+A=\n");
    harness.broker.secret(HASHED, SIGNATURE + "\n" + SIGNATURE + "\n");
    harness.broker.secret(OTHER, "the-value-of-the-other-key");
    harness.upstream.received.clear();
    harness.broker.materialised.clear();
    harness.broker.events.clear();
  }

  private static Answer ask(String request) throws IOException {
    return ask("api.example.test", request);
  }

  private static Answer ask(String host, String request) throws IOException {
    return harness.ask(host, request.getBytes(StandardCharsets.ISO_8859_1));
  }

  private static TestUpstream.Received only(Answer answer) {
    return harness.only(answer);
  }

  private static void refused(Answer answer, int status, String reason) throws Exception {
    harness.refused(answer, status, reason);
  }

  private static RequestToSign toSign(String target) {
    assertThat(harness.broker.materialised).hasSize(1);
    List<PlaceholderUse> signing =
        harness.broker.materialised.getFirst().getUsesList().stream()
            .filter(PlaceholderUse::hasToSign)
            .toList();
    assertThat(signing).hasSize(1);
    assertThat(signing.getFirst().getTarget()).isEqualTo(target);
    return signing.getFirst().getToSign();
  }

  private static String length(String body) {
    return "Content-Length: " + body.length() + "\r\n\r\n" + body;
  }

  @Test
  void whatArrivesIsWhatTheBrokerWasAskedToSign() throws Exception {
    String body = "{\"amount\": 1}";
    Answer answer =
        ask(
            "POST /hook?a=b HTTP/1.1\r\n"
                + SIGNED
                + "X-Time: the guest's own\r\nX-Key: "
                + OTHER
                + "\r\nX-More: 1\r\n"
                + length(body));
    TestUpstream.Received one = only(answer);
    assertThat(one.body()).isEqualTo(body);
    assertThat(one.header("x-signature")).isEqualTo("v1=" + SIGNATURE);
    assertThat(one.header("x-time")).isEqualTo("1700000000");
    assertThat(one.header("x-key")).isEqualTo("the-value-of-the-other-key");
    RequestToSign signed = toSign("hmac:x-signature");
    assertThat(signed.getTarget()).isEqualTo("/hook?a=b").isEqualTo(one.uri());
    assertThat(signed.getBody().toStringUtf8()).isEqualTo(body);
    assertThat(signed.getPayloadSha256()).isEmpty();
    assertThat(signed.getHeadersList())
        .extracting(HeaderToSign::getName)
        .containsExactly("host", "x-nonce");
    assertThat(signed.getHeaders(1).getValue()).isEqualTo(one.header("x-nonce"));
    assertThat(answer.body())
        .contains("v1=" + PLACEHOLDER)
        .doesNotContain(SIGNATURE, "the-value-of-the-other-key");
    AuditEvent event = harness.broker.event(e -> e.getVerdict() == Verdict.VERDICT_ALLOWED);
    assertThat(event.getSecret()).isNotEmpty();
  }

  @Test
  void inTheQueryWhatIsSignedIsWithoutIt() throws Exception {
    for (String[] each :
        new String[][] {
          {"/order?a=1%20b&signature=PH&c", "/order?a=1%20b&c"},
          {"/order?signature=PH", "/order"},
          {"/order?%73ignature=PH&x=y", "/order?x=y"},
        }) {
      forget();
      Answer answer = ask("POST " + each[0].replace("PH", QUERY) + " HTTP/1.1\r\n" + HOST + "\r\n");
      assertThat(only(answer).uri()).isEqualTo(each[0].replace("PH", "c2lnbmF0dXJl%2F%2BA%3D"));
      assertThat(toSign("hmac-query:signature").getTarget()).isEqualTo(each[1]);
      assertThat(answer.body()).doesNotContain("c2lnbmF0dXJl");
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "/?signature=PH&signature=x",
        "/?signature=PHx",
        "/?signature=v1,PH",
        "/?Signature=PH",
        "/?other=PH",
        "/?signature=PH;x",
        "/PH?signature=x",
      })
  void inTheQueryItStandsOnceAndAlone(String target) throws Exception {
    refused(
        ask("GET " + target.replace("PH", QUERY) + " HTTP/1.1\r\n" + HOST + "\r\n"),
        403,
        "placeholder_outside_target");
  }

  @Test
  void aBodyThatIsHashedIsNotToldToTheBroker() throws Exception {
    String body = "x".repeat(1 << 20);
    TestUpstream.Received one =
        only(
            ask(
                "other.example.test",
                "POST /x HTTP/1.1\r\nHost: other.example.test\r\nX-Hashed: "
                    + HASHED
                    + "\r\n"
                    + length(body)));
    assertThat(one.body()).hasSameSizeAs(body);
    assertThat(one.header("x-hashed")).isEqualTo(SIGNATURE);
    RequestToSign signed = toSign("hmac:x-hashed");
    assertThat(signed.getBody()).isEmpty();
    assertThat(signed.getPayloadSha256())
        .isEqualTo(
            HexFormat.of()
                .formatHex(
                    MessageDigest.getInstance("SHA-256")
                        .digest(body.getBytes(StandardCharsets.ISO_8859_1))));
  }

  /** Only what is signed of it makes a gRPC call wait, or a body be kept. */
  @Test
  void aBodyInPiecesIsSignedWhole() throws Exception {
    TestUpstream.Received one =
        only(
            ask(
                "POST / HTTP/1.1\r\n"
                    + SIGNED
                    + "Content-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"));
    assertThat(one.body()).isEqualTo("abcdefg");
    assertThat(toSign("hmac:x-signature").getBody().toStringUtf8()).isEqualTo("abcdefg");
  }

  @Test
  void aBodyThatIsSignedHasALimit() throws Exception {
    refused(
        ask("POST / HTTP/1.1\r\n" + SIGNED + "Content-Length: " + ((768 << 10) + 1) + "\r\n\r\n"),
        413,
        "body_too_large");
    forget();
    String most = "x".repeat(768 << 10);
    assertThat(only(ask("POST / HTTP/1.1\r\n" + SIGNED + length(most))).body()).hasSameSizeAs(most);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "GET /PH HTTP/1.1|",
        "GET /?x=PH HTTP/1.1|",
        "GET / HTTP/1.1|X-Other: PH",
        "GET / HTTP/1.1|X-Nonce: PH",
        "GET / HTTP/1.1|Authorization: Bearer PH",
        // In its header beside other text, which would be lost, or in another spelling.
        "GET / HTTP/1.1|X-Signature: sha256=PH",
        "GET / HTTP/1.1|X-Signature: PH,PH",
        "GET / HTTP/1.1|X-Signature: %63PH",
      })
  void anywhereElseItIsRefused(String request) throws Exception {
    List<String> parts = List.of(request.split("\\|", -1));
    String header = parts.get(1).isEmpty() ? "" : parts.get(1) + "\r\n";
    refused(
        ask(
            (parts.getFirst() + "\r\n" + HOST + header + "\r\n")
                .replace("%63PH", "%63" + PLACEHOLDER.substring(1))
                .replace("PH", PLACEHOLDER)),
        403,
        "placeholder_outside_target");
  }

  @Test
  @AttackRow(37)
  void anotherHostGetsNoSignature() throws Exception {
    refused(
        ask(
            "other.example.test",
            "GET / HTTP/1.1\r\nHost: other.example.test\r\nX-Hashed: " + PLACEHOLDER + "\r\n\r\n"),
        403,
        "placeholder_host_not_bound");
  }

  @Test
  @AttackRow(6)
  void withoutTlsNothingIsSigned() throws Exception {
    try (RawGuest guest = harness.guest()) {
      refused(
          guest.send("GET / HTTP/1.1\r\n" + SIGNED + "\r\n").answer(),
          403,
          "placeholder_cleartext");
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        // A header that is signed is there once, and arrives.
        "GET / HTTP/1.1|X-Signature: PH",
        "GET / HTTP/1.1|X-Signature: PH|X-Nonce: 1|X-Nonce: 2",
        "GET / HTTP/1.1|X-Signature: PH|X-Nonce: 1|Connection: x-nonce",
        // Placeholders in what is signed, or written with the signature.
        "GET / HTTP/1.1|X-Signature: PH|X-Nonce: OTHER",
        "GET / HTTP/1.1|X-Signature: PH|X-Nonce: 1|X-Time: OTHER",
        "GET /?key=OTHER HTTP/1.1|X-Signature: PH|X-Nonce: 1",
      })
  void whatCannotBeSignedIsRefused(String lines) throws Exception {
    refused(
        ask(
            lines.replace("OTHER", OTHER).replace("PH", PLACEHOLDER).replace("|", "\r\n")
                + "\r\n"
                + HOST
                + "\r\n"),
        403,
        "signature_unsupported");
  }

  @Test
  void anotherPlaceholderInTheBodyOfWhatIsSignedIsRefused() throws Exception {
    String body = "{\"key\":\"" + OTHER + "\"}";
    refused(
        ask("POST / HTTP/1.1\r\n" + SIGNED + "Content-Type: application/json\r\n" + length(body)),
        403,
        "signature_unsupported");
    refused(
        ask("POST / HTTP/1.1\r\n" + SIGNED + "Content-Type: a/b\r\n" + length(body)),
        403,
        "placeholder_outside_target");
  }

  @Test
  @AttackRow(39)
  void aSignatureOfTheGuestsOwnPassesButWhereOursIsRequired() throws Exception {
    String own = "sha256=" + "f".repeat(64);
    assertThat(
            only(ask("GET / HTTP/1.1\r\n" + HOST + "X-Signature: " + own + "\r\n\r\n"))
                .header("x-signature"))
        .isEqualTo(own);
    forget();
    refused(
        ask(
            "other.example.test",
            "GET / HTTP/1.1\r\nHost: other.example.test\r\nX-Hashed: " + own + "\r\n\r\n"),
        403,
        "own_credential");
    refused(
        ask(
            "other.example.test",
            "GET /?a=b&signature=own HTTP/1.1\r\nHost: other.example.test\r\n\r\n"),
        403,
        "own_credential");
    assertThat(only(ask("GET /?signature=own HTTP/1.1\r\n" + HOST + "\r\n")).uri())
        .isEqualTo("/?signature=own");
  }

  @Test
  void slicesAreFineForTheKeyIsNotInTheRequest() throws Exception {
    only(ask("GET / HTTP/1.1\r\n" + SIGNED + "Range: bytes=0-9\r\n\r\n"));
    forget();
    refused(
        ask("GET / HTTP/1.1\r\n" + SIGNED + "X-Key: " + OTHER + "\r\nRange: bytes=0-9\r\n\r\n"),
        403,
        "range_with_secret");
  }

  @Test
  void whatIsNoSignatureIsNotSent() throws Exception {
    harness.broker.secret(PLACEHOLDER, "0123456789abcdef");
    Answer answer = ask("GET / HTTP/1.1\r\n" + SIGNED + "\r\n");
    assertThat(answer.reason()).isEqualTo("internal");
    assertThat(harness.upstream.received).isEmpty();
  }
}
