package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.internal.v1.GrantedBinding;
import dev.cofferdam.internal.v1.GrantedSecret;
import dev.cofferdam.kit.egress.PlaceholderForm;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.PlaceholderShape;
import dev.cofferdam.v1.Verdict;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Placeholders that look like the keys they stand for: found as surely as the usual ones. */
final class ShapedPlaceholderTest {
  private static final String HOST = "Host: api.example.test\r\n";

  enum Shape {
    /** Longer than a core: it repeats what nobody can guess. */
    SK("sk-", "c0fferdam" + "A1b2C3d4E5f6G7h8I9j0K1l2M3", 51),
    GHP("ghp_", "c0fferdam" + "Z9y8X7w6V5u4T3s2R1q0P9o8N7", 40),
    /** A letter right before the mark. */
    AIZA("AIzaSy", "c0fferdam" + "Q1w2E3r4T5y6U7i8O9p0A1s2D3", 41),
    BARE("", "c0fferdam" + "M1n2B3v4C5x6Z7l8K9j0H1g2F3", 35),
    HEX("DENO_SECRET_PLACEHOLDER_", "c0ffe2da5e" + "0123456789abcdef0123456789abcdef", 88),
    JWT(
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJ4In0.",
        "c0fferdam" + "J1w2T3j4W5t6J7w8T9j0W1t2J3",
        96);

    final String core;
    final String text;
    final PlaceholderShape message;
    final String value;

    Shape(String prefix, String core, int length) {
      this.core = core;
      this.text = PlaceholderForm.whole(prefix, core, length);
      this.value = prefix + "the-real-value-of-" + name();
      this.message = PlaceholderShape.newBuilder().setPrefix(prefix).setLength(length).build();
      assertThat(text).hasSize(length).startsWith(prefix + core);
    }
  }

  private static Harness harness;

  @BeforeAll
  static void start(@TempDir Path directory) throws Exception {
    harness = new Harness(directory, false);
    var attachment = Harness.attachment(harness.port).setPolicyRevision(2).clearSecrets();
    for (Shape shape : Shape.values()) {
      attachment.addSecrets(granted(shape));
    }
    harness.apply(attachment.build());
  }

  private static GrantedSecret granted(Shape shape) {
    return Harness.granted(shape.name().toLowerCase(Locale.ROOT), shape.core, "x", false)
        .toBuilder()
        .clearBindings()
        .addBindings(
            GrantedBinding.newBuilder()
                .addHosts("api.example.test")
                .addTargets("header:authorization")
                .addTargets("basic:password")
                .addTargets("query:key")
                .addTargets("path")
                .addTargets("json:/key")
                .setOccurrences(1))
        .setShape(shape.message)
        .build();
  }

  @AfterAll
  static void stop() throws Exception {
    harness.close();
  }

  @BeforeEach
  void forget() {
    for (Shape shape : Shape.values()) {
      harness.broker.secret(shape.core, shape.value);
    }
    harness.upstream.received.clear();
    harness.broker.materialised.clear();
    harness.broker.events.clear();
  }

  private static Answer ask(String request) throws IOException {
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      return guest.send(request.getBytes(StandardCharsets.ISO_8859_1)).answer();
    }
  }

  private static String get(String header) {
    return "GET / HTTP/1.1\r\n" + HOST + header + "\r\n\r\n";
  }

  private static String base64(String text) {
    return Base64.getEncoder().encodeToString(text.getBytes(StandardCharsets.US_ASCII));
  }

  private static TestUpstream.Received only(Answer answer) {
    assertThat(answer.status()).as(answer.toString()).isEqualTo(200);
    assertThat(harness.upstream.received).hasSize(1);
    return harness.upstream.received.getFirst();
  }

  private static void refused(Answer answer, String reason) throws Exception {
    assertThat(answer.reason()).as(answer.toString()).isEqualTo(reason);
    assertThat(answer.status()).isEqualTo(403);
    assertThat(harness.upstream.received).isEmpty();
    assertThat(harness.broker.materialised).isEmpty();
    AuditEvent event =
        harness.broker.event(e ->
            e.getVerdict() == Verdict.VERDICT_DENIED
                && e.getReason().name().equalsIgnoreCase("EGRESS_REASON_" + reason));
    // The request's id is random, and may hold anything.
    assertThat(event.toBuilder().clearRequest().build().toString().toLowerCase(Locale.ROOT))
        .doesNotContain("c0ff");
  }

  @ParameterizedTest
  @EnumSource
  void inEachTargetTheValueTakesItsPlaceAndTheAnswerShowsItAgain(Shape shape) throws Exception {
    Answer bearer = ask(get("Authorization: Bearer " + shape.text));
    assertThat(only(bearer).header("authorization")).isEqualTo("Bearer " + shape.value);
    assertThat(bearer.body()).contains(shape.text).doesNotContain(shape.value);
    forget();
    assertThat(
            only(ask(get("Authorization: Basic " + base64("u:" + shape.text))))
                .header("authorization"))
        .isEqualTo("Basic " + base64("u:" + shape.value));
    forget();
    assertThat(only(ask("GET /bot" + shape.text + "/x HTTP/1.1\r\n" + HOST + "\r\n")).uri())
        .isEqualTo("/bot" + shape.value + "/x");
    // That of the request before may come late.
    AuditEvent event =
        harness.broker.event(
            e -> e.getVerdict() == Verdict.VERDICT_ALLOWED && e.getTarget().equals("path"));
    assertThat(event.getPath()).isEqualTo("/[placeholder]/x");
    assertThat(event.toBuilder().clearRequest().build().toString()).doesNotContain(shape.core);
    forget();
    assertThat(only(ask("GET /?key=" + shape.text + " HTTP/1.1\r\n" + HOST + "\r\n")).uri())
        .isEqualTo("/?key=" + shape.value);
    forget();
    String body = "{\"key\":\"" + shape.text + "\"}";
    assertThat(
            only(ask(
                    "POST / HTTP/1.1\r\n"
                        + HOST
                        + "Content-Type: application/json\r\nContent-Length: "
                        + body.length()
                        + "\r\n\r\n"
                        + body))
                .body())
        .isEqualTo("{\"key\":\"" + shape.value + "\"}");
  }

  @AttackRow(17)
  @ParameterizedTest
  @EnumSource
  void outsideItsTargetsItIsRefusedInWhateverForm(Shape shape) throws Exception {
    byte[] ascii = shape.text.getBytes(StandardCharsets.US_ASCII);
    for (String form :
        List.of(
            shape.text,
            "%" + HexFormat.ofDelimiter("%").formatHex(ascii),
            shape.core.replace("c0", "%630"),
            shape.core.replace("c0", "\\u0063\\u0030"),
            HexFormat.of().formatHex(ascii),
            HexFormat.of().withUpperCase().formatHex(ascii),
            base64(shape.text),
            base64("x" + shape.text),
            base64("xy" + shape.text + "z"))) {
      forget();
      refused(ask(get("X-Other: " + form)), "placeholder_outside_target");
      forget();
      refused(
          ask(
              "POST / HTTP/1.1\r\n"
                  + HOST
                  + "Content-Length: "
                  + form.length()
                  + "\r\n\r\n"
                  + form),
          "placeholder_outside_target");
      if (!form.equals(shape.text)) {
        forget();
        refused(ask(get("Authorization: Bearer " + form)), "placeholder_outside_target");
      }
    }
  }

  /** What stands around the core belongs to it: with another neighbour it is something else. */
  @AttackRow(21)
  @ParameterizedTest
  @EnumSource
  void whatOnlyContainsItIsRefused(Shape shape) throws Exception {
    char last = shape.text.charAt(shape.text.length() - 1);
    String cut = shape.text.substring(0, shape.text.length() - 1);
    List<String> others =
        new java.util.ArrayList<>(
            List.of("x" + shape.text, shape.text + "x", shape.text + shape.text));
    if (!shape.text.equals(shape.core)) {
      others.add(shape.core);
      others.add(
          "zz-"
              + shape.core
              + shape.text.substring(shape.text.indexOf(shape.core) + shape.core.length()));
      if (!shape.text.endsWith(shape.core)) {
        others.add(cut);
        others.add(cut + (last == 'x' ? 'y' : 'x'));
      }
    }
    // As itself, and once more bare.
    others.add(shape.text + " " + shape.core + "_");
    for (String other : others) {
      forget();
      Answer answer = ask(get("Authorization: Bearer " + other));
      assertThat(answer.status()).as(other).isEqualTo(403);
      assertThat(harness.upstream.received).isEmpty();
      assertThat(harness.broker.materialised).isEmpty();
    }
  }

  static List<String> foreign() {
    return List.of(
        "sk-c0fferdam" + "F0r1E2i3G4n5F6o7R8e9I0g1N2",
        // With the look of another secret of this sandbox, and with none.
        "ghp_c0fferdam" + "A1b2C3d4E5f6G7h8I9j0K1l2M4",
        "zz_c0fferdam" + "A1b2C3d4E5f6G7h8I9j0K1l2M4" + "zzzzz",
        // Ours but for the case of a letter.
        Shape.GHP.text.toUpperCase(Locale.ROOT),
        Shape.GHP.text.replace("c0ff", "C0ff"),
        Shape.HEX.text.toUpperCase(Locale.ROOT),
        "c0ffe2da5e" + "f123456789abcdef0123456789abcdef",
        // A core that is cut short is none, but these are long enough.
        "c0ffe2da5e" + "0123456789ABCDEF0123456789abcdef");
  }

  @AttackRow(36)
  @ParameterizedTest
  @MethodSource("foreign")
  void oneThatWasNotGrantedHereIsForeign(String text) throws Exception {
    for (String header :
        List.of(
            "Authorization: Bearer " + text,
            "X-Other: " + text,
            "Authorization: Basic " + base64("u:" + text))) {
      forget();
      refused(ask(get(header)), "placeholder_foreign");
    }
  }

  /** The look of one secret's placeholder around what stands for another. */
  @AttackRow(36)
  @Test
  void theLookOfAnotherDoesNotMakeItThat() throws Exception {
    for (String swapped :
        List.of(
            Shape.SK.text.replace("sk-", "ghp_"),
            Shape.GHP.text.replace("ghp_", "sk-"),
            Shape.BARE.text + "zzz")) {
      forget();
      refused(ask(get("Authorization: Bearer " + swapped)), "placeholder_outside_target");
    }
  }

  /** A key of the guest's own that looks alike, and parts of ours, are ordinary text. */
  @Test
  void whatOnlyLooksLikeItPasses() throws Exception {
    for (String own :
        List.of(
            "sk-" + "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8S9t0U1v2W3x4",
            "ghp_" + "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8",
            Shape.SK.text.substring(0, 3 + 34),
            Shape.HEX.text.substring(0, 24 + 41),
            "c0fferdam",
            "sk-c0fferdam_" + "A1b2C3d4E5f6G7h8I9j0K1l2M3",
            "f".repeat(64))) {
      forget();
      assertThat(only(ask(get("Authorization: Bearer " + own))).header("authorization"))
          .isEqualTo("Bearer " + own);
    }
  }

  /** Split anywhere, no core leaves whole. */
  @AttackRow(10)
  @ParameterizedTest
  @EnumSource
  void splitOverChunksItIsTheSame(Shape shape) throws Exception {
    StringBuilder chunks = new StringBuilder();
    for (char c : ("x".repeat(70_000) + shape.text + "-y").toCharArray()) {
      chunks.append("1\r\n").append(c).append("\r\n");
    }
    Answer answer =
        ask(
            "POST / HTTP/1.1\r\n"
                + HOST
                + "Transfer-Encoding: chunked\r\n\r\n"
                + chunks
                + "0\r\n\r\n");
    assertThat(answer.status()).isEqualTo(403);
    assertThat(harness.upstream.received).noneMatch(one -> one.body().contains(shape.core));
    assertThat(harness.broker.materialised).isEmpty();
  }
}
