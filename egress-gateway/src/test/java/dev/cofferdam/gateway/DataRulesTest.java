package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.entry;

import dev.cofferdam.internal.v1.Attachment;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.DataAction;
import dev.cofferdam.v1.DataDetector;
import dev.cofferdam.v1.DataRule;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.Verdict;
import io.micrometer.core.instrument.Counter;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Rules on what stands in requests, in a running gateway. */
final class DataRulesTest extends AttackSuite {
  private static final String MAIL = "jane.doe@example.com";

  /** With a right check digit, in two parts so that nobody takes it for somebody's. */
  private static final String CARD = "4111 1111" + " 1111 1111";

  private static final String ASKING =
      get(
          "/socket",
          String.join(
              "\r\n",
              List.of(
                  "Connection: Upgrade",
                  "Upgrade: websocket",
                  "Sec-WebSocket-Version: 13",
                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                  "")));

  private long revision = 1;

  @BeforeEach
  void blocking() throws Exception {
    data(rule(DataAction.DATA_ACTION_BLOCK));
  }

  private static DataRule.Builder rule(DataAction action) {
    return DataRule.newBuilder()
        .addDetectors(DataDetector.DATA_DETECTOR_EMAIL_ADDRESSES)
        .addDetectors(DataDetector.DATA_DETECTOR_CARD_NUMBERS)
        .setAction(action);
  }

  private void data(DataRule.Builder... rules) throws Exception {
    apply(Harness.attachment(harness.port), rules);
  }

  private void apply(Attachment.Builder attachment, DataRule.Builder... rules) throws Exception {
    for (DataRule.Builder rule : rules) {
      attachment.getPolicyBuilder().addData(rule);
    }
    revision += 1;
    harness.apply(attachment.setPolicyRevision(revision).build());
  }

  private String sent() {
    assertThat(harness.upstream.received).hasSize(1);
    return harness.upstream.received.getFirst().body();
  }

  private AuditEvent told(String data) throws Exception {
    AuditEvent event = harness.broker.event(e -> e.getDataList().contains(data));
    assertThat(event.toString()).doesNotContain("jane", "4111");
    return event;
  }

  /** With what its event says that was found. */
  private AuditEvent refused(Answer answer, String data) throws Exception {
    assertThat(answer.reason()).isEqualTo("data_not_allowed");
    assertThat(answer.status()).isEqualTo(403);
    assertThat(answer.body()).doesNotContain("jane", "4111");
    nothingLeft();
    AuditEvent event = told(data);
    assertThat(event.getVerdict()).isEqualTo(Verdict.VERDICT_DENIED);
    assertThat(event.getReason()).isEqualTo(EgressReason.EGRESS_REASON_DATA_NOT_ALLOWED);
    return event;
  }

  private static String gzip(String text) throws IOException {
    ByteArrayOutputStream packed = new ByteArrayOutputStream();
    try (OutputStream out = new GZIPOutputStream(packed)) {
      out.write(text.getBytes(StandardCharsets.ISO_8859_1));
    }
    return packed.toString(StandardCharsets.ISO_8859_1);
  }

  @Test
  void aBodyWithAnAddressIsRefusedAndACleanOnePasses() throws Exception {
    AuditEvent event = refused(ask(post("", "to: " + MAIL + ", hello")), "1:email_addresses");
    assertThat(event.getMessage()).contains("data rule 1", "email_addresses", "the body");

    assertThat(ask(post("", "hello, all")).status()).isEqualTo(200);
    assertThat(sent()).isEqualTo("hello, all");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"card\": \"" + CARD + "\"}",
        "{\"to\": \"jane.doe\\u0040example.com\"}",
        "to=jane.doe%40example.com",
        "card=4111+1111+1111+1111"
      })
  @AttackRow(55)
  void escapedOnesAreFound(String body) throws Exception {
    refused(
        ask(post("Content-Type: application/x-www-form-urlencoded\r\n", body)),
        403,
        "data_not_allowed");
  }

  @AttackRow(55)
  @Test
  void oneInGzipIsFound() throws Exception {
    String packed = gzip("x".repeat(100_000) + " " + MAIL);
    refused(ask(post("Content-Encoding: gzip\r\n", packed)), 403, "data_not_allowed");
    // What leaves is as it came.
    String clean = gzip("nothing in here");
    assertThat(ask(post("Content-Encoding: gzip\r\n", clean)).status()).isEqualTo(200);
    assertThat(sent()).isEqualTo(clean);
  }

  @AttackRow(55)
  @ParameterizedTest
  @ValueSource(strings = {"br", "zstd", "deflate", "gzip, gzip"})
  void whatCannotBeSearchedIsRefused(String coding) throws Exception {
    // Without a secret nobody else asks for a look.
    apply(Harness.attachment(harness.port).clearSecrets(), rule(DataAction.DATA_ACTION_REPORT));
    refused(ask(post("Content-Encoding: " + coding + "\r\n", "x")), 415, "content_encoding");
  }

  @AttackRow(55)
  @Test
  void oneInPiecesIsFound() throws Exception {
    StringBuilder request =
        new StringBuilder("POST / HTTP/1.1\r\n" + HOST + "Transfer-Encoding: chunked\r\n\r\n");
    for (char c : (" ".repeat(9000) + MAIL + " ").toCharArray()) {
      request.append("1\r\n").append(c).append("\r\n");
    }
    refused(ask(request + "0\r\n\r\n"), 403, "data_not_allowed");
  }

  @AttackRow(55)
  @ParameterizedTest
  @ValueSource(strings = {"/?to=" + MAIL, "/?to=jane.doe%40example.com", "/u/" + MAIL + "/x"})
  void oneInTheUrlIsFoundAndNotTold(String target) throws Exception {
    AuditEvent event = refused(ask(get(target, "")), "1:email_addresses");
    assertThat(event.getPath()).isEqualTo(target.startsWith("/?") ? "/" : "[data]");
  }

  /** As forms are written. */
  @Test
  void aPlusInTheQueryIsABlank() throws Exception {
    refused(ask(get("/?card=4111+1111" + "+1111+1111", "")), "1:card_numbers");
  }

  @AttackRow(56)
  @Test
  void headersAreLookedAtWhereTheRuleSaysSo() throws Exception {
    String request = get("/", "X-From: " + MAIL + "\r\n");
    assertThat(ask(request).status()).isEqualTo(200);
    data(rule(DataAction.DATA_ACTION_BLOCK).setHeaders(true));
    forget();
    refused(ask(request), 403, "data_not_allowed");
    assertThat(ask(get("/", "Authorization: Bearer " + MAIL + "\r\n")).status()).isEqualTo(200);
  }

  @Test
  void aReportedOnePasses() throws Exception {
    data(rule(DataAction.DATA_ACTION_REPORT));
    assertThat(ask(post("", MAIL + " and " + CARD)).status()).isEqualTo(200);
    assertThat(sent()).isEqualTo(MAIL + " and " + CARD);
    AuditEvent event = told("1:email_addresses");
    assertThat(event.getDataList()).containsExactly("1:email_addresses", "1:card_numbers");
    assertThat(event.getVerdict()).isEqualTo(Verdict.VERDICT_ALLOWED);
  }

  @Test
  void aRedactedOneLeavesItsMark() throws Exception {
    data(rule(DataAction.DATA_ACTION_REDACT));
    String body = "{\"to\": \"jane.doe\\u0040example.com\", \"card\": \"" + CARD + "\"}";
    assertThat(ask(post("", body)).status()).isEqualTo(200);
    String left = "{\"to\": \"[redacted]\", \"card\": \"[redacted]\"}";
    assertThat(sent()).isEqualTo(left);
    assertThat(harness.upstream.received.getFirst().header("content-length"))
        .isEqualTo(Integer.toString(left.length()));
    assertThat(told("1:card_numbers").getVerdict()).isEqualTo(Verdict.VERDICT_ALLOWED);
  }

  @Test
  void aLongRedactedBodyIsSentInChunks() throws Exception {
    data(rule(DataAction.DATA_ACTION_REDACT));
    String filling = "abc def ".repeat(40_000);
    Answer answer = ask(post("", filling + MAIL + " " + filling));
    assertThat(answer.status()).isEqualTo(200);
    assertThat(sent()).isEqualTo(filling + "[redacted] " + filling);
  }

  @Test
  void whereNothingCanBePutOutItIsRefused() throws Exception {
    data(rule(DataAction.DATA_ACTION_REDACT));
    refused(
        ask(post("Content-Encoding: gzip\r\n", gzip("to " + MAIL + " now"))),
        403,
        "data_not_allowed");
    refused(ask(get("/?to=" + MAIL, "")), 403, "data_not_allowed");
  }

  @Test
  void aRuleHoldsAtItsHosts() throws Exception {
    data(rule(DataAction.DATA_ACTION_BLOCK).addHosts("other.example.test"));
    assertThat(ask(post("", MAIL)).status()).isEqualTo(200);
    try (RawGuest guest = harness.guest().tls("other.example.test")) {
      Answer answer =
          guest.send(post("", MAIL).replace("api.example.test", "other.example.test")).answer();
      assertThat(answer.reason()).isEqualTo("data_not_allowed");
    }
  }

  @Test
  void patternsAreSearchedWithTheSandboxesPlaceholdersLeftOut() throws Exception {
    data(
        DataRule.newBuilder()
            .addPatterns("(?i)project-[0-9]{4}\\b")
            .addPatterns("[A-Za-z0-9]{30,}")
            .setHeaders(true));
    refused(ask(post("", "about Project-1234")), "1:pattern-1");
    assertThat(ask(post("", "about Project-12345")).status()).isEqualTo(200);
    forget();
    refused(ask(post("", "x".repeat(30) + " ")), "1:pattern-2");
    String placeholder = "X-Api-Key: " + Harness.PLACEHOLDER + "\r\n";
    assertThat(ask(post(placeholder, "fine")).status()).isEqualTo(200);
    assertThat(harness.upstream.received.getLast().header("x-api-key")).isEqualTo(Harness.VALUE);
  }

  @AttackRow(56)
  @Test
  void noWebSocketBeginsThere() throws Exception {
    refused(ask(ASKING), 403, "protocol_not_allowed");
    data(rule(DataAction.DATA_ACTION_BLOCK).addHosts("other.example.test"));
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      assertThat(guest.send(ASKING).until("\r\n\r\n")).startsWith("HTTP/1.1 101 ");
    }
  }

  /** Bytes that leave beside what is packed: the name and the comment of gzip. */
  @AttackRow(55)
  @Test
  void oneBesideWhatIsPackedIsFound() throws Exception {
    byte[] packed = gzip("nothing in here").getBytes(StandardCharsets.ISO_8859_1);
    String named = gzipNamed(packed, MAIL);
    refused(ask(post("Content-Encoding: gzip\r\n", named)), "1:email_addresses");
    // Over two members it is one text; a name between them does not hide it.
    forget();
    String inTwo =
        gzip("to jane.doe@")
            + gzipNamed(gzip("example.com now").getBytes(StandardCharsets.ISO_8859_1), "x");
    refused(ask(post("Content-Encoding: gzip\r\n", inTwo)), "1:email_addresses");
    forget();
    String fine = gzipNamed(packed, "notes.txt");
    assertThat(ask(post("Content-Encoding: gzip\r\n", fine)).status()).isEqualTo(200);
    assertThat(sent()).isEqualTo(fine);
  }

  private static String gzipNamed(byte[] packed, String name) {
    String text = new String(packed, StandardCharsets.ISO_8859_1);
    return text.substring(0, 3)
        + (char) 8
        + text.substring(4, 10)
        + name
        + '\0'
        + text.substring(10);
  }

  /** In pieces of AWS's, with their sizes between them, no text is whole. */
  @AttackRow(55)
  @ParameterizedTest
  @ValueSource(
      strings = {
        "X-Amz-Content-SHA256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\n",
        "X-Amz-Content-SHA256: streaming-aws4-hmac-sha256-payload\r\n",
        "Content-Encoding: aws-chunked\r\n"
      })
  void whatIsInPiecesOfAwsCannotBeSearched(String header) throws Exception {
    String body = "9\r\njane.doe@\r\nb\r\nexample.com\r\n0\r\n\r\n";
    refused(ask(post(header, body)), 415, "content_encoding");
  }

  @AttackRow(55)
  @Test
  void whatIsNoMessageOfGrpcIsNotSearchedAsOne() throws Exception {
    String trick = "\0\0\0\0\u000cjane.doe@example.com";
    refused(ask(post("Content-Type: application/grpc\r\n", trick)), 415, "content_encoding");
  }

  @AttackRow(55)
  @Test
  void onePartOfMultipartIsSearchedLikeAnother() throws Exception {
    String body =
        "--b\r\nContent-Disposition: form-data; name=\"a\"; filename=\"x\"\r\n\r\n"
            + MAIL
            + "\r\n--b--\r\n";
    refused(
        ask(post("Content-Type: multipart/form-data; boundary=b\r\n", body)), "1:email_addresses");
  }

  /** A megabyte is let through by then; of what is found nothing is. */
  @AttackRow(55)
  @Test
  void oneFarBehindCutsTheBodyOff() throws Exception {
    String body = "abc def ".repeat(150_000) + MAIL + " ".repeat(20_000);
    Answer answer = ask(post("", body));
    assertThat(answer.reason()).isEqualTo("data_not_allowed");
    nothingLeft();
    assertThat(told("1:email_addresses").getVerdict()).isEqualTo(Verdict.VERDICT_DENIED);
  }

  /** In other alphabets and twice encoded: a documented limit. */
  @AttackRow(55)
  @Test
  void whatIsEncodedInAnotherWayComesThrough() throws Exception {
    for (String body :
        List.of(base64(MAIL), "jane.doe&#64;example.com", "jane.doe%2540example.com")) {
      assertThat(ask(post("", body)).status()).as(body).isEqualTo(200);
    }
  }

  /** Searched by the rules that are in force when it leaves, or not at all. */
  @AttackRow(56)
  @Test
  void aRequestUnderWayEndsWhenItsRulesChange() throws Exception {
    data(rule(DataAction.DATA_ACTION_REPORT));
    try (RawGuest guest = harness.guest().tls("api.example.test");
        RawGuest other = harness.guest().tls("other.example.test")) {
      guest.send("POST / HTTP/1.1\r\n" + HOST + "Content-Length: 300000\r\n\r\n");
      guest.send("x ".repeat(100_000));
      String elsewhere = "POST / HTTP/1.1\r\nHost: other.example.test\r\nContent-Length: 5\r\n\r\n";
      other.send(elsewhere + "he");
      // Whatever is answered, both are under way by now.
      assertThat(ask(get("/", "")).status()).isEqualTo(200);
      harness.upstream.received.clear();

      data(
          rule(DataAction.DATA_ACTION_BLOCK).addHosts("api.example.test"),
          rule(DataAction.DATA_ACTION_REPORT).addHosts("other.example.test"));

      assertThat(guest.answer().reason()).isEqualTo("data_not_allowed");
      nothingLeft();
    }
  }

  /** Those at its host are as they were. */
  @Test
  void aRequestUnderWayGoesOnWhenTheRulesOfOtherHostsChange() throws Exception {
    DataRule.Builder kept = rule(DataAction.DATA_ACTION_BLOCK).addHosts("api.example.test");
    data(kept, rule(DataAction.DATA_ACTION_REPORT).addHosts("other.example.test"));
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      guest.send("POST / HTTP/1.1\r\n" + HOST + "Content-Length: 300000\r\n\r\n");
      guest.send("x ".repeat(100_000));
      // Whatever is answered, it is under way by now.
      assertThat(ask(get("/", "")).status()).isEqualTo(200);
      data(kept, rule(DataAction.DATA_ACTION_BLOCK).addHosts("other.example.test"));
      assertThat(ask(get("/", "")).status()).isEqualTo(200);
      assertThat(guest.send("x ".repeat(50_000)).answer().status()).isEqualTo(200);
    }
  }

  /** What was searched by the rules that were in force, all of it, has left. */
  @Test
  void anAnswerGoesOnWhenTheRulesOfItsRequestChange() throws Exception {
    data(rule(DataAction.DATA_ACTION_REPORT));
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      assertThat(guest.send(get("/drip", "")).until("line\n")).startsWith("HTTP/1.1 200 ");
      data(rule(DataAction.DATA_ACTION_BLOCK));
      for (int line = 0; line < 5; line++) {
        assertThat(guest.until("line\n")).endsWith("line\n");
      }
    }
  }

  @Test
  void noSecretIsAskedForWhereTheUrlIsRefused() throws Exception {
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      refused(guest.send(get("/?to=" + MAIL, BEARER)).answer(), "1:email_addresses");
    }
    // What the broker is asked it is asked in their order.
    assertThat(ask(get("/", BEARER)).status()).isEqualTo(200);
    assertThat(harness.broker.materialised).hasSize(1);
  }

  @AttackRow(56)
  @Test
  void anOpenWebSocketEndsWhenARuleComesToCoverIt() throws Exception {
    data(rule(DataAction.DATA_ACTION_BLOCK).addHosts("other.example.test"));
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      assertThat(guest.send(ASKING).until("\r\n\r\n")).startsWith("HTTP/1.1 101 ");
      data(rule(DataAction.DATA_ACTION_BLOCK));
      assertThat(guest.hungUpOn()).isTrue();
    }
  }

  /** Each request once for each kind of finding and what became of it, however much was found. */
  @Test
  void whatRulesDidIsCounted() throws Exception {
    data(
        rule(DataAction.DATA_ACTION_REDACT),
        DataRule.newBuilder()
            .addPatterns("project-[0-9]{4}")
            .addPatterns("order-[0-9]{4}")
            .setAction(DataAction.DATA_ACTION_REPORT),
        DataRule.newBuilder()
            .addDetectors(DataDetector.DATA_DETECTOR_IBANS)
            .setAction(DataAction.DATA_ACTION_BLOCK));
    Map<String, Double> before = counts();

    assertThat(ask(post("", "nothing in here")).status()).isEqualTo(200);
    assertThat(ask(post("", MAIL + " or " + MAIL + ", project-1234, order-1234")).status())
        .isEqualTo(200);
    assertThat(ask(get("/?to=" + MAIL, "")).reason()).isEqualTo("data_not_allowed");
    assertThat(ask(post("", "GB82 WEST 1234 5698 7654 32, " + CARD)).reason())
        .isEqualTo("data_not_allowed");
    // Counted before it is told, and told in their order.
    told("3:ibans");

    Map<String, Double> more = counts();
    more.replaceAll((effect, count) -> count - before.getOrDefault(effect, 0.0));
    more.values().removeIf(count -> count == 0);
    assertThat(more)
        .containsOnly(
            entry("email_addresses redacted", 1.0),
            entry("pattern reported", 1.0),
            entry("email_addresses refused", 1.0),
            entry("card_numbers redacted", 1.0),
            entry("ibans refused", 1.0));
  }

  private Map<String, Double> counts() {
    Map<String, Double> counts = new HashMap<>();
    for (Counter counter : harness.meters.get("cofferdam.gateway.data").counters()) {
      String effect = counter.getId().getTag("detector") + " " + counter.getId().getTag("outcome");
      counts.put(effect, counter.count());
    }
    assertThat(counts).hasSize(21);
    return counts;
  }
}
