package dev.cofferdam.gateway;

import static dev.cofferdam.gateway.Harness.PLACEHOLDER;
import static dev.cofferdam.gateway.Harness.VALUE;
import static org.assertj.core.api.Assertions.assertThat;

import com.github.luben.zstd.Zstd;
import dev.cofferdam.internal.v1.GrantedBinding;
import dev.cofferdam.internal.v1.GrantedSecret;
import dev.cofferdam.internal.v1.MaterializeRequest;
import dev.cofferdam.internal.v1.PlaceholderUse;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.Verdict;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.net.URLEncoder;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Base64;
import java.util.List;
import java.util.function.Function;
import java.util.stream.Stream;
import java.util.zip.Deflater;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Secrets in queries, paths and bodies: rows 9, 12 to 15, 18, 37 to 39 of ATTACKS.md. */
final class TargetsTest {
  private static final String HOST = "Host: api.example.test\r\n";
  private static final String PERCENT = URLEncoder.encode(VALUE, StandardCharsets.UTF_8);

  /** Holds what JSON and forms have to escape, and what UTF-8 writes in two bytes. */
  private static final String TRICKY = "q\"b\\s/a&b=c;d%41 é\t\u0001end-of-it";

  private static final String TRICKY_PLACEHOLDER =
      "cofferdam_" + "T1t2T3t4T5t6T7t8T9t0T1t2T3t4T5t6T7t8T9t0TTt";
  private static final String REQUIRED =
      "cofferdam_" + "R1r2R3r4R5r6R7r8R9r0R1r2R3r4R5r6R7r8R9r0RRr";
  private static final String JSON_ONLY =
      "cofferdam_" + "J1j2J3j4J5j6J7j8J9j0J1j2J3j4J5j6J7j8J9j0JJj";

  private static Harness harness;

  @BeforeAll
  static void start(@TempDir Path directory) throws Exception {
    harness = new Harness(directory, false);
    bind(harness);
  }

  private static void bind(Harness harness) throws Exception {
    String[] all = {
      "path",
      "query:key",
      "json:/auth/key",
      "json:/list/1",
      "json:/a~1b",
      "form:key",
      "multipart:key"
    };
    harness.broker.secret(TRICKY_PLACEHOLDER, TRICKY);
    harness.broker.secret(REQUIRED, "required-value-0123456789");
    harness.broker.values.put(
        dev.cofferdam.gateway.placeholder.PlaceholderHash.of(JSON_ONLY).hex(),
        new byte[] {
          (byte) 0xc3,
          '(',
          'n',
          'o',
          't',
          '-',
          'u',
          't',
          'f',
          '-',
          '8',
          '-',
          'a',
          't',
          '-',
          'a',
          'l',
          'l'
        });
    harness.apply(
        Harness.attachment(harness.port)
            .setPolicyRevision(2)
            .clearSecrets()
            .addSecrets(granted("api-key", PLACEHOLDER, "api.example.test", 1, false, all))
            .addSecrets(granted("tricky", TRICKY_PLACEHOLDER, "api.example.test", 2, false, all))
            .addSecrets(granted("binary", JSON_ONLY, "api.example.test", 1, false, all))
            .addSecrets(
                granted(
                    "required",
                    REQUIRED,
                    "other.example.test",
                    1,
                    true,
                    "header:authorization",
                    "query:key",
                    "json:/key"))
            .build());
  }

  private static GrantedSecret granted(
      String name, String placeholder, String host, int times, boolean require, String... targets) {
    return Harness.granted(name, placeholder, host, false).toBuilder()
        .clearBindings()
        .addBindings(
            GrantedBinding.newBuilder()
                .addHosts(host)
                .addAllTargets(List.of(targets))
                .setOccurrences(times)
                .setRequire(require))
        .build();
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

  private static Answer ask(String request) throws IOException {
    return ask(harness, "api.example.test", request.getBytes(StandardCharsets.ISO_8859_1));
  }

  private static Answer ask(Harness harness, String host, byte[] request) throws IOException {
    return harness.ask(host, request);
  }

  private static Answer get(String target) throws IOException {
    return ask("GET " + target + " HTTP/1.1\r\n" + HOST + "\r\n");
  }

  private static Answer post(String type, String body) throws IOException {
    return post("/echo", type, body);
  }

  private static Answer post(String path, String type, String body) throws IOException {
    return ask(
        "POST %s HTTP/1.1\r\n%sContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s"
            .formatted(path, HOST, type, body.length(), body));
  }

  private static TestUpstream.Received only(Answer answer) {
    TestUpstream.Received one = harness.only(answer);
    if (!one.body().isEmpty()) {
      assertThat(one.header("content-length")).isEqualTo(String.valueOf(one.body().length()));
    }
    return one;
  }

  private static void refused(Answer answer, int status, String reason) throws Exception {
    harness.refused(answer, status, reason);
  }

  private static String used() {
    assertThat(harness.broker.materialised).hasSize(1);
    MaterializeRequest asked = harness.broker.materialised.getFirst();
    assertThat(asked.getPath()).doesNotContain("cofferdam_");
    return String.join(",", asked.getUsesList().stream().map(PlaceholderUse::getTarget).toList());
  }

  @Test
  void aParameterOfTheQuery() throws Exception {
    Answer answer = get("/echo?a=1&key=" + PLACEHOLDER + "&b=%2f+;");

    assertThat(only(answer).uri()).isEqualTo("/echo?a=1&key=" + PERCENT + "&b=%2f+;");
    assertThat(used()).isEqualTo("query:key");
    assertThat(answer.body()).contains("key=" + PLACEHOLDER).doesNotContain(PERCENT, VALUE);
  }

  @Test
  void aParameterThatIsEncodedIsDecodedAndWrittenAnew() throws Exception {
    Answer answer = get("/echo?k%65y=t%3a" + PLACEHOLDER.replace("_", "%5F"));

    assertThat(only(answer).uri()).isEqualTo("/echo?k%65y=t%3A" + PERCENT);
  }

  @Test
  void aSegmentOfThePathOrAPartOfOne() throws Exception {
    Answer answer = get("/bot" + PLACEHOLDER + "/send?x=1");

    assertThat(only(answer).uri()).isEqualTo("/bot" + VALUE.replace("/", "%2F") + "/send?x=1");
    assertThat(used()).isEqualTo("path");
    assertThat(answer.body()).contains(PLACEHOLDER).doesNotContain(VALUE, "abc%2B", "%2Fabc");
    AuditEvent event = harness.broker.event(e -> e.getVerdict() == Verdict.VERDICT_ALLOWED);
    assertThat(event.getPath()).doesNotContain("cofferdam_");
  }

  @Test
  void aStringOfJson() throws Exception {
    Answer answer =
        post(
            "application/json; charset=UTF-8",
            "{\"n\": 1.50e3, \"auth\": {\"key\": \"\\u0063"
                + PLACEHOLDER.substring(1)
                + "\", \"u\": \"\\ud83d\\ude00\\n\"}, \"t\": [true, null, {}]}");

    assertThat(only(answer).body())
        .isEqualTo(
            "{\"n\":1.50e3,\"auth\":{\"key\":\""
                + VALUE
                + "\",\"u\":\""
                + new String("😀".getBytes(StandardCharsets.UTF_8), StandardCharsets.ISO_8859_1)
                + "\\u000a\"},\"t\":[true,null,{}]}");
    assertThat(used()).isEqualTo("json:/auth/key");
    assertThat(answer.body()).contains(PLACEHOLDER).doesNotContain(VALUE);
  }

  @Test
  void whatAFormatGivesAMeaningToIsEscaped() throws Exception {
    String utf8 = new String(TRICKY.getBytes(StandardCharsets.UTF_8), StandardCharsets.ISO_8859_1);
    String percent = URLEncoder.encode(TRICKY, StandardCharsets.UTF_8).replace("+", "%20");

    only(post("application/json", "{\"a/b\":\"" + TRICKY_PLACEHOLDER + "\"}"));
    assertThat(harness.upstream.received.removeFirst().body())
        .isEqualTo(
            "{\"a/b\":\""
                + utf8.replace("\\", "\\\\")
                    .replace("\"", "\\\"")
                    .replace("\t", "\\u0009")
                    .replace("\u0001", "\\u0001")
                + "\"}");
    only(post("application/x-www-form-urlencoded", "a=b&key=" + TRICKY_PLACEHOLDER));
    assertThat(harness.upstream.received.removeFirst().body()).isEqualTo("a=b&key=" + percent);
    only(get("/?key=" + TRICKY_PLACEHOLDER));
    assertThat(harness.upstream.received.removeFirst().uri()).isEqualTo("/?key=" + percent);
    only(get("/" + TRICKY_PLACEHOLDER));
    assertThat(harness.upstream.received.removeFirst().uri())
        .isEqualTo("/" + percent.replace("%26", "&").replace("%3D", "="));
  }

  /** As it stood in the body: escaped, and that in base64. */
  @ParameterizedTest
  @CsvSource({
    "application/json, '{\"a/b\":\"PH\"}'",
    "application/x-www-form-urlencoded, key=PH",
  })
  @AttackRow(18)
  void whatIsEscapedIsFoundInAnswers(String type, String form) throws Exception {
    String body = form.replace("PH", TRICKY_PLACEHOLDER);
    assertThat(post("/body", type, body).body()).isEqualTo(body);

    String base64 = post("/body-base64", type, body).body();
    assertThat(base64).contains(TRICKY_PLACEHOLDER);
    for (String left : base64.split(TRICKY_PLACEHOLDER, -1)) {
      // Whole groups of digits and the odd ones that the value shares with its neighbours.
      assertThat(left.length()).isLessThan(16);
    }
  }

  @Test
  void anElementOfAnArray() throws Exception {
    only(post("application/vnd.x+json", "{\"list\":[\"a\",\"" + PLACEHOLDER + "\"]}"));

    assertThat(used()).isEqualTo("json:/list/1");
  }

  @Test
  void aFieldOfMultipartLeavesUnderABoundaryThatTheGuestDidNotChoose() throws Exception {
    String file = "\u0000\u00ff--b \r\n--a";
    Answer answer =
        post(
            "multipart/form-data; boundary=b",
            "--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nx "
                + PLACEHOLDER
                + "\r\n--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"n\"\r\n"
                + "Content-Type: a/b\r\n\r\n"
                + file
                + "\r\n--b--\r\n");

    TestUpstream.Received one = only(answer);
    assertThat(one.header("content-type"))
        .matches("multipart/form-data; boundary=cofferdam-[0-9a-f]{32}");
    String own = one.header("content-type").replaceFirst(".*=", "");
    assertThat(one.body())
        .isEqualTo(
            "--"
                + own
                + "\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nx "
                + VALUE
                + "\r\n--"
                + own
                + "\r\nContent-Disposition: form-data; name=\"f\"; filename=\"n\"\r\n"
                + "Content-Type: a/b\r\n\r\n"
                + file
                + "\r\n--"
                + own
                + "--\r\n");
  }

  /** Packed without being compressed, it holds its bytes as they are. */
  private static final class Stored extends GZIPOutputStream {
    Stored(OutputStream out) throws IOException {
      super(out);
      def.setLevel(Deflater.NO_COMPRESSION);
    }

    static byte[] of(String text) throws IOException {
      ByteArrayOutputStream packed = new ByteArrayOutputStream();
      try (Stored stored = new Stored(packed)) {
        stored.write(text.getBytes(StandardCharsets.ISO_8859_1));
      }
      return packed.toByteArray();
    }
  }

  @Test
  @AttackRow(13)
  void aPackedBodyIsUnpackedAndSentUnpacked() throws Exception {
    String body = "{\"auth\":{\"key\":\"" + PLACEHOLDER + "\"}}";
    for (byte[] packed :
        List.of(TestUpstream.gzip(body.getBytes(StandardCharsets.US_ASCII)), Stored.of(body))) {
      TestUpstream.Received one = only(packed("gzip", packed));
      assertThat(one.header("content-encoding")).isEmpty();
      assertThat(one.body()).isEqualTo("{\"auth\":{\"key\":\"" + VALUE + "\"}}");
      forget();
    }
  }

  /** RFC 1952 section 2.3.1: a comment, which no reader of the body sees. */
  @Test
  @AttackRow(13)
  void aPlaceholderBesideWhatIsPackedIsRefused() throws Exception {
    byte[] plain = TestUpstream.gzip("{}".getBytes(StandardCharsets.US_ASCII));
    ByteArrayOutputStream commented = new ByteArrayOutputStream();
    commented.write(plain, 0, 3);
    commented.write(16);
    commented.write(plain, 4, 6);
    commented.writeBytes((PLACEHOLDER + "\0").getBytes(StandardCharsets.US_ASCII));
    commented.write(plain, 10, plain.length - 10);
    refused(packed("gzip", commented.toByteArray()), 403, "placeholder_outside_target");
  }

  /** One block that is not compressed, and the last one, RFC 7932 section 9.2; to 64 KiB. */
  private static byte[] brotli(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.ISO_8859_1);
    int head = (bytes.length - 1) << 4 | 1 << 20;
    ByteBuffer packed = ByteBuffer.allocate(bytes.length + 4);
    packed.put((byte) head).put((byte) (head >> 8)).put((byte) (head >> 16)).put(bytes);
    return packed.put((byte) 3).array();
  }

  private static Answer packed(String coding, byte[] packed) throws IOException {
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      guest.send(
          "POST / HTTP/1.1\r\n%sContent-Type: application/json\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n"
              .formatted(HOST, coding, packed.length));
      return guest.send(packed).answer();
    }
  }

  @Test
  @AttackRow(13)
  void brotliAndZstdAreUnpackedWhereABodyIsKept() throws Exception {
    String body = "{\"auth\":{\"key\":\"" + PLACEHOLDER + "\"}}";
    String elsewhere = "{\"key\":\"" + PLACEHOLDER + "\"}";
    for (String coding : List.of("br", "zstd")) {
      Function<String, byte[]> pack =
          text ->
              coding.equals("br")
                  ? brotli(text)
                  : Zstd.compress(text.getBytes(StandardCharsets.ISO_8859_1));
      TestUpstream.Received one = only(packed(coding, pack.apply(body)));
      assertThat(one.header("content-encoding")).isEmpty();
      assertThat(one.body()).isEqualTo("{\"auth\":{\"key\":\"" + VALUE + "\"}}");
      forget();
      refused(packed(coding, pack.apply(elsewhere)), 403, "placeholder_outside_target");
      refused(
          packed(coding, elsewhere.getBytes(StandardCharsets.US_ASCII)), 415, "content_encoding");
      byte[] without = pack.apply("{ }");
      one = only(packed(coding, without));
      assertThat(one.header("content-encoding")).isEqualTo(coding);
      assertThat(one.body()).isEqualTo(new String(without, StandardCharsets.ISO_8859_1));
      forget();
    }
    // On top of another, or of a type that nothing is bound to: not looked into.
    refused(packed("gzip, br", brotli(body)), 415, "content_encoding");
    refused(
        ask("POST / HTTP/1.1\r\n" + HOST + "Content-Encoding: zstd\r\nContent-Length: 1\r\n\r\nx"),
        415,
        "content_encoding");
  }

  @Test
  @AttackRow(14)
  void aBombOfZstdIsTooLarge() throws Exception {
    refused(packed("zstd", Zstd.compress(new byte[64 << 20])), 413, "body_too_large");
    // A window of 128 MiB is memory for the asking.
    byte[] wide = new byte[] {0x28, (byte) 0xb5, 0x2f, (byte) 0xfd, 0x00, (byte) 0x88, 1, 0, 0};
    refused(packed("zstd", wide), 415, "content_encoding");
  }

  @Test
  @AttackRow(10)
  void aBodySplitOverChunksIsTheSameBody() throws Exception {
    String body = "key=" + PLACEHOLDER;
    StringBuilder chunks = new StringBuilder();
    for (int i = 0; i < body.length(); i++) {
      chunks.append("1\r\n").append(body.charAt(i)).append("\r\n");
    }
    only(
        ask(
            "POST / HTTP/1.1\r\n"
                + HOST
                + "Content-Type: application/x-www-form-urlencoded\r\n"
                + "Transfer-Encoding: chunked\r\n\r\n"
                + chunks
                + "0\r\n\r\n"));
    assertThat(harness.upstream.received.getFirst().body()).isEqualTo("key=" + PERCENT);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"{ \"a\" : [ 1, 2 ] } ", "{\"a\":1,\"a\":2}", "no json at all", "\"cofferdam_\""})
  void aBodyWithoutPlaceholderLeavesByteForByte(String body) throws Exception {
    assertThat(only(post("application/json", body)).body()).isEqualTo(body);
    assertThat(harness.broker.materialised).isEmpty();
  }

  @Test
  @SuppressWarnings("try") // closing the harness may throw anything
  void overHttp2Too(@TempDir Path directory) throws Exception {
    try (Harness second = new Harness(directory, true)) {
      bind(second);
      String body = "{\"auth\":{\"key\":\"" + PLACEHOLDER + "\"}}";
      Answer answer =
          ask(
              second,
              "api.example.test",
              ("POST /"
                      + TRICKY_PLACEHOLDER
                      + "?key="
                      + PLACEHOLDER
                      + " HTTP/1.1\r\n"
                      + HOST
                      + "Content-Type: application/json\r\nContent-Length: "
                      + body.length()
                      + "\r\n\r\n"
                      + body)
                  .getBytes(StandardCharsets.ISO_8859_1));
      assertThat(answer.status()).as(answer.toString()).isEqualTo(200);
      TestUpstream.Received one = second.upstream.received.getFirst();
      assertThat(one.uri()).contains("end-of-it?key=" + PERCENT);
      assertThat(one.body()).isEqualTo("{\"auth\":{\"key\":\"" + VALUE + "\"}}");
      assertThat(one.header("content-length")).isEqualTo(String.valueOf(one.body().length()));
      assertThat(answer.body()).doesNotContain(VALUE, PERCENT, "end-of-it");
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "/?other=PH",
        "/?PH=1",
        "/?PH",
        "/?key=1&key=PH",
        "/?key=PH&k%65y=",
        "/?key=PH&key",
        "/?key=PH;a=1",
        "/?a;key=PH",
        "/?key=PH%zz",
        "/?key=%25PE",
        "/?key=xPH",
        "/?key=PHx",
        "/?key=" + "UFU=BASE",
        "/PHx",
        "/a;PH",
        "/%zzPH",
        "/a?b&#95;PH?"
      })
  void anywhereElseInTheRequestTargetIsRefused(String target) throws Exception {
    String base64 =
        Base64.getEncoder().encodeToString(PLACEHOLDER.getBytes(StandardCharsets.US_ASCII));
    Answer answer =
        get(
            target
                .replace("#", "%23")
                .replace("UFU=BASE", base64)
                .replace("PE", PLACEHOLDER.replace("_", "%255f"))
                .replace("PH", PLACEHOLDER));
    refused(answer, 403, "placeholder_outside_target");
  }

  static Stream<Arguments> bodies() {
    String form = "application/x-www-form-urlencoded";
    String multipart = "multipart/form-data; boundary=b";
    String part = "--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\n";
    return Stream.of(
        Arguments.of("application/json", "{\"auth\":{\"other\":\"PH\"}}"),
        Arguments.of("application/json", "{\"auth\":{\"PH\":1}}"),
        Arguments.of("application/json", "{\"auth\":[{\"key\":\"PH\"}]}"),
        Arguments.of("application/json", "{\"list\":[\"PH\",1]}"),
        Arguments.of("application/json", "\"PH\""),
        Arguments.of("application/json", "{\"auth\":{\"key\":\"PHx\"}}"),
        Arguments.of("application/json", "{\"auth\":{\"key\":\"PH\\ud800\"}}"),
        Arguments.of("application/json; charset=latin1", "{\"auth\":{\"key\":\"PH\"}}"),
        Arguments.of("application/json; charset=utf-8; a=b", "{\"auth\":{\"key\":\"PH\"}}"),
        Arguments.of("text/plain", "{\"auth\":{\"key\":\"PH\"}}"),
        Arguments.of("application/json\r\nContent-Type: text/plain", "{\"auth\":{\"key\":\"PH\"}}"),
        Arguments.of(form, "other=PH"),
        Arguments.of(form, "key=1&key=PH"),
        Arguments.of(form, "key=PH;x=1"),
        Arguments.of(form, "key=PH%"),
        Arguments.of(form, "key=PH\n"),
        Arguments.of(multipart, part + "1\r\n" + part + "PH\r\n--b--\r\n"),
        Arguments.of(multipart, part.replace("\"key\"", "\"other\"") + "PH\r\n--b--\r\n"),
        Arguments.of("multipart/form-data; boundary=b; boundary=c", part + "PH\r\n--b--\r\n"),
        Arguments.of("multipart/form-data", part + "PH\r\n--b--\r\n"),
        Arguments.of("multipart/mixed; boundary=b", part + "PH\r\n--b--\r\n"));
  }

  @ParameterizedTest
  @MethodSource("bodies")
  void anywhereElseInABodyIsRefused(String type, String body) throws Exception {
    refused(post(type, body.replace("PH", PLACEHOLDER)), 403, "placeholder_outside_target");
  }

  static Stream<Arguments> ambiguous() {
    String multipart = "multipart/form-data; boundary=b";
    String part = "--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\n";
    return Stream.of(
        Arguments.of("application/json", "{\"auth\":{\"key\":\"PH\",\"key\":\"x\"}}"),
        Arguments.of("application/json", "{\"auth\":{\"key\":\"PH\"},\"auth\":{}}"),
        Arguments.of("application/json", "{\"auth\":{\"key\":\"PH\",\"KEY\":\"x\"}}"),
        Arguments.of("application/json", "{\"auth\":{\"key\":\"PH\"}"),
        Arguments.of("application/json", "{\"auth\":{\"key\":\"PH\"}}{}"),
        Arguments.of("application/json", "{'auth':{\"key\":\"PH\"}}"),
        Arguments.of("application/json", "{\"auth\":{\"key\":\"PH\"}}\u00ff"),
        Arguments.of("application/json", "/**/{\"auth\":{\"key\":\"PH\"}}"),
        Arguments.of("application/json", "[".repeat(200) + "\"PH\"" + "]".repeat(200)),
        Arguments.of(multipart, "preamble\r\n" + part + "PH\r\n--b--\r\n"),
        Arguments.of(multipart, part + "PH\r\n--b--\r\nepilogue"),
        Arguments.of(multipart, part + "PH\n--b\nContent-Disposition: x\n\r\n--b--\r\n"),
        Arguments.of(multipart, part + "PH\r\n--b \r\n" + part + "\r\n--b--\r\n"),
        Arguments.of(multipart, part + "PH\r\n--bc\r\n\r\n--b--\r\n"),
        Arguments.of(multipart, part + "PH\r\n"),
        Arguments.of(
            multipart,
            part.replace("\r\n\r\n", "\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n")
                + "PH\r\n--b--\r\n"),
        Arguments.of(multipart, part.replace("\"key\"", "\"key\"; name=\"x\"") + "PH\r\n--b--\r\n"),
        Arguments.of(
            multipart,
            part.replace("\r\n\r\n", "\r\nContent-Transfer-Encoding: base64\r\n\r\n")
                + "PH\r\n--b--\r\n"));
  }

  @ParameterizedTest
  @MethodSource("ambiguous")
  void whatTwoReadersCouldTakeForDifferentThingsIsRefused(String type, String body)
      throws Exception {
    refused(post(type, body.replace("PH", PLACEHOLDER)), 400, "malformed_request");
  }

  @Test
  void theCapIsOfEachTarget() throws Exception {
    refused(get("/?key=" + PLACEHOLDER + "." + PLACEHOLDER), 403, "placeholder_too_often");
    refused(get("/" + PLACEHOLDER + "/" + PLACEHOLDER), 403, "placeholder_too_often");
    only(get("/?key=" + TRICKY_PLACEHOLDER + "." + TRICKY_PLACEHOLDER));
    harness.upstream.received.clear();
    // One in each.
    only(get("/" + PLACEHOLDER + "?key=" + PLACEHOLDER));
  }

  @ParameterizedTest
  @CsvSource({"true", "false"})
  @AttackRow(15)
  void pastTheLimitIsTooLarge(boolean said) throws Exception {
    String body =
        "{\"pad\":\"" + "x".repeat(1 << 20) + "\",\"auth\":{\"key\":\"" + PLACEHOLDER + "\"}}";
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      guest.send("POST / HTTP/1.1\r\n" + HOST + "Content-Type: application/json\r\n");
      if (said) {
        refused(
            guest.send("Content-Length: " + body.length() + "\r\n\r\n").answer(),
            413,
            "body_too_large");
      } else {
        guest.send(
            "Transfer-Encoding: chunked\r\n\r\n" + Integer.toHexString(body.length()) + "\r\n");
        refused(guest.send(body).answer(), 413, "body_too_large");
      }
    }
  }

  @Test
  @AttackRow(14)
  void aBombIsTooLarge() throws Exception {
    byte[] bomb = TestUpstream.gzip(new byte[64 << 20]);
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      guest.send(
          "POST / HTTP/1.1\r\n"
              + HOST
              + "Content-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: "
              + bomb.length
              + "\r\n\r\n");
      refused(guest.send(bomb).answer(), 413, "body_too_large");
    }
  }

  @Test
  void aValueThatTheFormatCannotHoldIsRefused() throws Exception {
    Answer answer = post("application/json", "{\"a/b\":\"" + JSON_ONLY + "\"}");

    assertThat(answer.reason()).isEqualTo("value_not_representable");
    assertThat(answer.status()).isEqualTo(403);
    assertThat(harness.upstream.received).isEmpty();
    only(post("application/x-www-form-urlencoded", "key=" + JSON_ONLY));
    assertThat(harness.upstream.received.getFirst().body()).startsWith("key=%C3%28not-utf");
  }

  @Test
  void aRangeIsRefusedForAValueInTheBodyToo() throws Exception {
    String body = "key=" + PLACEHOLDER;
    refused(
        ask(
            "POST / HTTP/1.1\r\n"
                + HOST
                + "Range: bytes=0-1\r\n"
                + "Content-Type: application/x-www-form-urlencoded\r\n"
                + "Content-Length: "
                + body.length()
                + "\r\n\r\n"
                + body),
        403,
        "range_with_secret");
  }

  private static Answer other(String request) throws IOException {
    return ask(
        harness,
        "other.example.test",
        request
            .replace("Host\r\n", "Host: other.example.test\r\n")
            .getBytes(StandardCharsets.ISO_8859_1));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "GET / HTTP/1.1|Authorization: Bearer own|",
        "GET / HTTP/1.1|Authorization: Basic b3duOm93bg==|",
        "GET /?a=1&key=own HTTP/1.1||",
        "GET /?k%65y=own HTTP/1.1||",
        "POST / HTTP/1.1|Content-Type: application/json|{\"key\":\"own\"}",
      })
  @AttackRow(39)
  void aKeyOfTheGuestsOwnIsRefusedWhereOursIsRequired(String request) throws Exception {
    List<String> lines = List.of(request.split("\\|", -1));
    String body = lines.get(2);
    String header = lines.get(1).isEmpty() ? "" : lines.get(1) + "\r\n";
    refused(
        other(
            "%s\r\nHost\r\n%sContent-Length: %d\r\n\r\n%s"
                .formatted(lines.getFirst(), header, body.length(), body)),
        403,
        "own_credential");
  }

  @Test
  @AttackRow(39)
  void whatIsRequiredMayBeLeftOutOrBeOurs() throws Exception {
    only(other("GET /?a=1&key= HTTP/1.1\r\nHost\r\nX-Api-Key: own\r\n\r\n"));
    harness.upstream.received.clear();
    only(other("GET / HTTP/1.1\r\nHost\r\nAuthorization: Bearer " + REQUIRED + "\r\n\r\n"));
    harness.upstream.received.clear();
    // Elsewhere nothing is required.
    only(ask("GET /?key=own HTTP/1.1\r\n" + HOST + "Authorization: own\r\n\r\n"));
  }

  @Test
  @AttackRow(37)
  void aPlaceholderIsWorthNothingAtTheHostOfAnother() throws Exception {
    refused(
        other("GET /?key=" + PLACEHOLDER + " HTTP/1.1\r\nHost\r\n\r\n"),
        403,
        "placeholder_host_not_bound");
  }

  @Test
  @AttackRow(6)
  void withoutTlsNothingIsPutIntoABody() throws Exception {
    String body = "key=" + PLACEHOLDER;
    try (RawGuest guest = harness.guest()) {
      refused(
          guest
              .send(
                  "POST / HTTP/1.1\r\n"
                      + HOST
                      + "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: "
                      + body.length()
                      + "\r\n\r\n"
                      + body)
              .answer(),
          403,
          "placeholder_cleartext");
    }
  }
}
