package dev.cofferdam.gateway;

import static dev.cofferdam.gateway.Harness.OTHER;
import static dev.cofferdam.gateway.Harness.PLACEHOLDER;
import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.internal.v1.Attachment;
import dev.cofferdam.internal.v1.GrantedBinding;
import dev.cofferdam.internal.v1.GrantedSecret;
import dev.cofferdam.internal.v1.HeaderToSign;
import dev.cofferdam.internal.v1.PlaceholderUse;
import dev.cofferdam.internal.v1.RequestToSign;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.DataAction;
import dev.cofferdam.v1.DataDetector;
import dev.cofferdam.v1.Verdict;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** AWS Signature Version 4, as far as the gateway has to do with it: the key is never here. */
final class RequestSigningTest {
  private static final String ID = "AKIAREALREALREALREAL";
  private static final String SIGNATURE = "0123456789abcdef".repeat(4);
  private static final String TOKEN = "IQoJb3JpZ2luX2VjEFQaCXVzLWVhc3QtMSJHMEUCIQ==";
  private static final String REQUIRED =
      "cofferdam_" + "R1r2R3r4R5r6R7r8R9r0R1r2R3r4R5r6R7r8R9r0RRr";
  private static final String DATE = "X-Amz-Date: 20150830T123600Z\r\n";
  private static final String HOST = "Host: api.example.test\r\n";

  private static Harness harness;

  @BeforeAll
  static void start(@TempDir Path directory) throws Exception {
    harness = new Harness(directory, false);
    harness.apply(attachment(2).build());
  }

  private static Attachment.Builder attachment(long revision) {
    return Harness.attachment(harness.port)
        .setPolicyRevision(revision)
        .clearSecrets()
        .addSecrets(granted("aws", PLACEHOLDER, "api.example.test", false, "aws4:us-east-1/*"))
        .addSecrets(granted("key", OTHER, "api.example.test", false, "header:x-key", "json:/key"))
        .addSecrets(granted("required", REQUIRED, "other.example.test", true, "aws4:us-east-1/s3"));
  }

  private static GrantedSecret granted(
      String name, String placeholder, String host, boolean require, String... targets) {
    return Harness.granted(name, placeholder, host, false).toBuilder()
        .clearBindings()
        .addBindings(
            GrantedBinding.newBuilder()
                .addHosts(host)
                .addAllTargets(List.of(targets))
                .setOccurrences(2)
                .setRequire(require))
        .build();
  }

  @AfterAll
  static void stop() throws Exception {
    harness.close();
  }

  @BeforeEach
  void forget() {
    harness.broker.secret(PLACEHOLDER, ID + "\n" + SIGNATURE + "\n" + TOKEN);
    harness.broker.secret(REQUIRED, ID + "\n" + SIGNATURE + "\n");
    harness.upstream.received.clear();
    harness.broker.materialised.clear();
    harness.broker.events.clear();
  }

  private static String authorization(String id, String scope, String signed) {
    return "Authorization: AWS4-HMAC-SHA256 Credential=%s/%s/aws4_request, SignedHeaders=%s, Signature=%s\r\n"
        .formatted(id, scope, signed, "f".repeat(64));
  }

  private static String authorization(String signed) {
    return authorization(PLACEHOLDER, "20150830/us-east-1/dynamodb", signed);
  }

  private static final String PLAIN = authorization("host;x-amz-date");

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

  private static RequestToSign toSign() {
    assertThat(harness.broker.materialised).hasSize(1);
    List<PlaceholderUse> uses = harness.broker.materialised.getFirst().getUsesList();
    assertThat(uses).hasSize(1);
    assertThat(uses.getFirst().getTarget()).isEqualTo("aws4:us-east-1/dynamodb");
    return uses.getFirst().getToSign();
  }

  private static String sha256(String body) throws Exception {
    return HexFormat.of()
        .formatHex(
            MessageDigest.getInstance("SHA-256")
                .digest(body.getBytes(StandardCharsets.ISO_8859_1)));
  }

  /** Every header that was signed is the one that arrived, and those of AWS all are signed. */
  private static void signedAsSent(TestUpstream.Received one, boolean token) {
    Map<String, String> signed =
        toSign().getHeadersList().stream()
            .collect(Collectors.toMap(HeaderToSign::getName, HeaderToSign::getValue));
    signed.forEach((name, value) -> assertThat(one.header(name)).as(name).isEqualTo(value));
    List<String> names = new ArrayList<>(signed.keySet());
    if (token) {
      names.add("x-amz-security-token");
    }
    assertThat(one.headers().keySet().stream().map(String::toLowerCase))
        .filteredOn(name -> name.startsWith("x-amz-") || name.equals("content-type"))
        .isSubsetOf(names);
    assertThat(one.header("authorization"))
        .isEqualTo(
            "AWS4-HMAC-SHA256 Credential=%s/20150830/us-east-1/dynamodb/aws4_request, SignedHeaders=%s, Signature=%s"
                .formatted(
                    ID, names.stream().sorted().collect(Collectors.joining(";")), SIGNATURE));
    assertThat(toSign().getTarget()).isEqualTo(one.uri());
  }

  @Test
  void whatArrivesIsWhatTheBrokerWasAskedToSign() throws Exception {
    String body = "{\"TableName\":\"t\"}";
    Answer answer =
        ask(
            "POST /a%20b?x=1&y HTTP/1.1\r\n"
                + HOST
                + DATE
                + "Content-Type: application/x-amz-json-1.0\r\nX-Amz-Target: T.List\r\n"
                + "X-Amz-Meta: not signed by the guest\r\nX-Own: 1\r\nUser-Agent: b/1\r\n"
                + "Accept-Encoding: br\r\nAmz-Sdk-Request: attempt=1\r\n"
                + authorization(
                    "accept-encoding;amz-sdk-request;content-length;content-type;host;x-amz-date;x-amz-target")
                + "X-Amz-Security-Token: the guest's own\r\nContent-Length: "
                + body.length()
                + "\r\n\r\n"
                + body);

    TestUpstream.Received one = only(answer);
    assertThat(one.body()).isEqualTo(body);
    signedAsSent(one, true);
    assertThat(one.header("x-amz-security-token")).isEqualTo(TOKEN);
    assertThat(toSign().getPayloadSha256()).isEqualTo(sha256(body));
    assertThat(toSign().getHeadersList())
        .extracting(HeaderToSign::getName)
        .containsExactlyInAnyOrder(
            "host", "x-amz-date", "content-type", "x-amz-target", "x-amz-meta", "amz-sdk-request");
    assertThat(answer.body())
        .contains("Credential=" + PLACEHOLDER + "/", "Signature=" + PLACEHOLDER)
        .doesNotContain(ID, SIGNATURE, TOKEN);
    AuditEvent event = harness.broker.event(e -> e.getVerdict() == Verdict.VERDICT_ALLOWED);
    assertThat(event.getTarget()).isEqualTo("aws4:us-east-1/dynamodb");
    assertThat(event.getSecret()).isEqualTo("aws");
  }

  @Test
  void withoutASessionTheGuestsTokenIsTakenOut() throws Exception {
    harness.broker.secret(PLACEHOLDER, ID + "\n" + SIGNATURE + "\n");
    TestUpstream.Received one =
        only(
            ask(
                "GET / HTTP/1.1\r\n"
                    + HOST
                    + DATE
                    + authorization("host;x-amz-date;x-amz-security-token")
                    + "X-Amz-Security-Token: the guest's own\r\n\r\n"));
    assertThat(one.headers()).doesNotContainKey("x-amz-security-token");
    signedAsSent(one, false);
    assertThat(toSign().getPayloadSha256()).isEqualTo(sha256(""));
  }

  @ParameterizedTest
  @ValueSource(strings = {"UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"})
  void aBodyThatNobodySignsLeavesPieceByPiece(String payload) throws Exception {
    String body = "x".repeat(3 << 20);
    Answer answer =
        ask(
            "PUT /large HTTP/1.1\r\n"
                + HOST
                + DATE
                + PLAIN
                + (payload.startsWith("STREAMING") ? "Content-Encoding: aws-chunked\r\n" : "")
                + "X-Amz-Content-SHA256: "
                + payload
                + "\r\nContent-Length: "
                + body.length()
                + "\r\n\r\n"
                + body);
    assertThat(only(answer).body()).hasSameSizeAs(body);
    assertThat(toSign().getPayloadSha256()).isEqualTo(payload);
  }

  @Test
  void theHashOfTheBodyIsTheGuestsWordWhichTheUpstreamChecks() throws Exception {
    TestUpstream.Received one =
        only(
            ask(
                "PUT / HTTP/1.1\r\n"
                    + HOST
                    + DATE
                    + PLAIN
                    + "X-Amz-Content-SHA256: "
                    + sha256("abc")
                    + "\r\nContent-Length: 3\r\n\r\nabc"));
    assertThat(toSign().getPayloadSha256()).isEqualTo(sha256("abc"));
    assertThat(one.header("x-amz-content-sha256")).isEqualTo(sha256("abc"));
  }

  @Test
  void aBodyThatIsReadToBeSignedHasALimit() throws Exception {
    refused(
        ask(
            "POST / HTTP/1.1\r\n"
                + HOST
                + DATE
                + PLAIN
                + "Content-Length: "
                + ((1 << 20) + 1)
                + "\r\n\r\n"),
        413,
        "body_too_large");
  }

  private static void redacting(DataAction action) throws Exception {
    Attachment.Builder attachment = attachment(++revision);
    attachment
        .getPolicyBuilder()
        .addDataBuilder()
        .setAction(action)
        .addDetectors(DataDetector.DATA_DETECTOR_EMAIL_ADDRESSES);
    harness.apply(attachment.build());
  }

  private static long revision = 2;

  /** Whatever hash the guest took: it is of another body. */
  @AttackRow(55)
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void aBodyThatIsRedactedIsSignedAsItLeaves(boolean hashed) throws Exception {
    redacting(DataAction.DATA_ACTION_REDACT);
    try {
      for (String body : List.of("to jane.doe@example.com now", "x ".repeat(100_000), "clean")) {
        forget();
        TestUpstream.Received one =
            only(
                ask(
                    "PUT / HTTP/1.1\r\n"
                        + HOST
                        + DATE
                        + PLAIN
                        + (hashed ? "X-Amz-Content-SHA256: " + sha256(body) + "\r\n" : "")
                        + "Content-Length: "
                        + body.length()
                        + "\r\n\r\n"
                        + body));
        assertThat(one.body()).isEqualTo(body.replace("jane.doe@example.com", "[redacted]"));
        assertThat(one.header("content-length")).isEqualTo(Integer.toString(one.body().length()));
        assertThat(toSign().getPayloadSha256()).isEqualTo(sha256(one.body()));
        signedAsSent(one, true);
        if (hashed) {
          assertThat(one.header("x-amz-content-sha256")).isEqualTo(sha256(one.body()));
        }
      }
    } finally {
      harness.apply(attachment(++revision).build());
    }
  }

  /** What is signed is on record, and some paths may not be. */
  @Test
  void whereThePathMayNotBeOnRecordNothingIsSigned() throws Exception {
    redacting(DataAction.DATA_ACTION_REPORT);
    try {
      String get = "GET /jane.doe@example.com HTTP/1.1\r\n" + HOST + DATE + PLAIN + "\r\n";
      refused(ask(get), 403, "signature_unsupported");
    } finally {
      harness.apply(attachment(++revision).build());
    }
  }

  @Test
  void slicesAreFineForTheKeyIsNotInTheRequest() throws Exception {
    only(ask("GET / HTTP/1.1\r\n" + HOST + DATE + PLAIN + "Range: bytes=0-9\r\n\r\n"));
  }

  @ParameterizedTest
  @CsvSource({
    // Of another region.
    "20150830/eu-west-1/dynamodb, PH",
    // What no SDK writes is no credential but a header.
    "20150830/us-east-1, PH",
    "20150830/us-east-1/dynamodb, xPH",
    "20150830/us-east-1/dynamodb, PH-x",
    "20150830/us-east-1/dynamodb, %63PH",
  })
  void outsideItsScopeThePlaceholderIsWorthNothing(String scope, String id) throws Exception {
    refused(
        ask(
            "GET / HTTP/1.1\r\n"
                + HOST
                + DATE
                + authorization(id.replace("PH", PLACEHOLDER), scope, "host")
                + "\r\n"),
        403,
        "placeholder_outside_target");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "GET /?X-Amz-Credential=PH HTTP/1.1|",
        "GET /PH HTTP/1.1|",
        "GET / HTTP/1.1|Authorization: Bearer PH",
        "GET / HTTP/1.1|Authorization: AWS4-ECDSA-P256-SHA256"
            + " Credential=PH/20150830/s3/aws4_request, SignedHeaders=host, Signature=00",
        "GET / HTTP/1.1|X-Api-Key: PH",
        "GET / HTTP/1.1|X-Amz-Security-Token: PH",
      })
  void anywhereElseItIsRefused(String request) throws Exception {
    List<String> parts = List.of(request.split("\\|", -1));
    String header = parts.get(1).isEmpty() ? "" : parts.get(1) + "\r\n";
    refused(
        ask((parts.getFirst() + "\r\n" + HOST + DATE + header + "\r\n").replace("PH", PLACEHOLDER)),
        403,
        "placeholder_outside_target");
  }

  private static final String PRESIGNED =
      "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=PH%2F20150830%2Fus-east-1%2Fs3%2Faws4_request"
          + "&X-Amz-Date=20150830T123600Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host"
          + "&X-Amz-Security-Token=own&X-Amz-Signature="
          + "f".repeat(64);

  private static String presigned(String query) {
    return query.replace("PH", PLACEHOLDER);
  }

  @Test
  void aPresignedUrlLeavesAsTheRequestThatItStandsFor() throws Exception {
    String body = "x".repeat(3 << 20);
    TestUpstream.Received one =
        only(
            ask(
                "PUT /b/k?versionId=1&"
                    + presigned(PRESIGNED)
                    + "&a=b HTTP/1.1\r\n"
                    + HOST
                    + "Content-Length: "
                    + body.length()
                    + "\r\n\r\n"
                    + body));
    assertThat(one.uri()).isEqualTo("/b/k?versionId=1&a=b");
    assertThat(one.body()).hasSameSizeAs(body);
    assertThat(one.header("authorization"))
        .startsWith("AWS4-HMAC-SHA256 Credential=" + ID + "/20150830/us-east-1/s3/")
        .endsWith("Signature=" + SIGNATURE);
    assertThat(one.header("x-amz-date")).isEqualTo("20150830T123600Z");
    assertThat(one.header("x-amz-content-sha256")).isEqualTo("UNSIGNED-PAYLOAD");
    assertThat(one.header("x-amz-security-token")).isEqualTo(TOKEN);
    RequestToSign signed = harness.broker.materialised.getFirst().getUses(0).getToSign();
    assertThat(signed.getTarget()).isEqualTo("/b/k?versionId=1&a=b");
    assertThat(signed.getPayloadSha256()).isEqualTo("UNSIGNED-PAYLOAD");
  }

  @Test
  void aPresignedUrlOfAnotherServiceHasItsBodyHashed() throws Exception {
    TestUpstream.Received one =
        only(
            ask(
                "GET /?Action=GetCallerIdentity&"
                    + presigned(PRESIGNED).replace("%2Fs3%2F", "%2Fsts%2F")
                    + " HTTP/1.1\r\n"
                    + HOST
                    + "\r\n"));
    assertThat(one.uri()).isEqualTo("/?Action=GetCallerIdentity");
    assertThat(one.headers()).doesNotContainKey("x-amz-content-sha256");
    assertThat(harness.broker.materialised.getFirst().getUses(0).getToSign().getPayloadSha256())
        .isEqualTo(sha256(""));
  }

  @Test
  void aPresignedUrlWithTheGuestsOwnKeyIsItsOwnAffair() throws Exception {
    String own = PRESIGNED.replace("PH", "AKIAOWNOWNOWNOWNOWN0");
    assertThat(only(ask("GET /b/k?" + own + " HTTP/1.1\r\n" + HOST + "\r\n")).uri())
        .isEqualTo("/b/k?" + own);
  }

  /**
   * What could be read in two ways stays as it is, and a placeholder in a query is none of ours.
   */
  @ParameterizedTest
  @ValueSource(
      strings = {
        // Twice, lacking, or of another scheme.
        "URL&X-Amz-Credential=other|",
        "URL&x-amz-DATE=20150830T123600Z|",
        "X-Amz-Credential=PH%2F20150830%2Fus-east-1%2Fs3%2Faws4_request|",
        "X-Amz-Algorithm=AWS4-ECDSA-P256-SHA256&URL|",
        // A header of AWS in the URL, where it counts only beside a signature in the URL.
        "URL&x-amz-acl=public-read|",
        "URL&X-Amz-Content-Sha256=UNSIGNED-PAYLOAD|",
        // Two credentials, two dates.
        "URL|Authorization: Bearer other",
        "URL|X-Amz-Date: 20150830T123600Z",
        // A line end in what becomes a header.
        "BROKEN|",
      })
  void aPresignedUrlOfTwoMeaningsIsRefused(String request) throws Exception {
    List<String> parts = List.of(request.split("\\|", -1));
    String header = parts.get(1).isEmpty() ? "" : parts.get(1) + "\r\n";
    String query =
        parts
            .getFirst()
            .replace("URL", PRESIGNED)
            .replace(
                "BROKEN", PRESIGNED.replace("SignedHeaders=host", "SignedHeaders=host%0D%0Ax"));
    refused(
        ask("GET /b/k?" + presigned(query) + " HTTP/1.1\r\n" + HOST + header + "\r\n"),
        403,
        "placeholder_outside_target");
  }

  @Test
  @AttackRow(37)
  void anotherHostGetsNoSignature() throws Exception {
    refused(
        ask(
            "other.example.test",
            "GET / HTTP/1.1\r\nHost: other.example.test\r\n" + DATE + PLAIN + "\r\n"),
        403,
        "placeholder_host_not_bound");
  }

  @Test
  @AttackRow(6)
  void withoutTlsNothingIsSigned() throws Exception {
    try (RawGuest guest = harness.guest()) {
      refused(
          guest.send("GET / HTTP/1.1\r\n" + HOST + DATE + PLAIN + "\r\n").answer(),
          403,
          "placeholder_cleartext");
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        // Each chunk would have to be signed, by the one before it.
        "X-Amz-Date: 20150830T123600Z|X-Amz-Content-SHA256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "X-Amz-Date: 20150830T123600Z|X-Amz-Content-SHA256:"
            + " STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        "X-Amz-Date: 20150830T123600Z|X-Amz-Content-SHA256: abc",
        "X-Amz-Date: 20150830T123600Z|X-Amz-Content-SHA256: UNSIGNED-PAYLOAD|X-Amz-Content-SHA256:"
            + " UNSIGNED-PAYLOAD",
        "X-Amz-Date: 20150831T123600Z",
        "X-Amz-Date: 20150830T123600Z|X-Amz-Date: 20150830T123601Z",
        "Date: Sun, 30 Aug 2015 12:36:00 GMT",
        "X-Amz-Date: 20150830T123600Z|AUTH",
        "X-Amz-Date: 20150830T123600Z|Authorization: other",
        "X-Amz-Date: 20150830T123600Z|X-Key: OTHER",
      })
  void whatCannotBeSignedIsRefused(String lines) throws Exception {
    refused(
        ask(
            "GET / HTTP/1.1\r\n"
                + HOST
                + PLAIN
                + lines.replace("OTHER", OTHER).replace("AUTH", PLAIN.strip()).replace("|", "\r\n")
                + "\r\n\r\n"),
        403,
        "signature_unsupported");
  }

  @Test
  void anotherPlaceholderInTheBodyOfWhatIsSignedIsRefused() throws Exception {
    String body = "{\"key\":\"" + OTHER + "\"}";
    String head =
        "POST / HTTP/1.1\r\n" + HOST + DATE + PLAIN + "Content-Length: " + body.length() + "\r\n";
    refused(
        ask(head + "Content-Type: application/json\r\n\r\n" + body), 403, "signature_unsupported");
    refused(ask(head + "Content-Type: a/b\r\n\r\n" + body), 403, "placeholder_outside_target");
  }

  @Test
  @AttackRow(39)
  void aKeyOfTheGuestsOwnPassesButWhereOursIsRequired() throws Exception {
    String own = authorization("AKIAOWNOWNOWNOWNOWN0", "20150830/us-east-1/s3", "host");
    assertThat(only(ask("GET / HTTP/1.1\r\n" + HOST + DATE + own + "\r\n")).header("authorization"))
        .contains("Credential=AKIAOWN", "Signature=ffff");
    forget();
    String other = "Host: other.example.test\r\n" + DATE;
    for (String request :
        List.of(
            "GET / HTTP/1.1\r\n" + other + own + "\r\n",
            "GET / HTTP/1.1\r\n" + other + "Authorization: Bearer own\r\n\r\n",
            "GET /?X-Amz-Credential=AKIAOWN%2F20150830%2Fus-east-1%2Fs3%2Faws4_request HTTP/1.1\r\n"
                + other
                + "\r\n")) {
      refused(ask("other.example.test", request), 403, "own_credential");
    }
    forget();
    only(
        ask(
            "other.example.test",
            "GET / HTTP/1.1\r\n"
                + other
                + authorization(REQUIRED, "20150830/us-east-1/s3", "host")
                + "\r\n"));
  }

  @Test
  void whatIsNoSignatureIsNotSent() throws Exception {
    harness.broker.secret(PLACEHOLDER, "0123456789abcdef");
    Answer answer = ask("GET / HTTP/1.1\r\n" + HOST + DATE + PLAIN + "\r\n");
    assertThat(answer.reason()).isEqualTo("internal");
    assertThat(harness.upstream.received).isEmpty();
  }
}
