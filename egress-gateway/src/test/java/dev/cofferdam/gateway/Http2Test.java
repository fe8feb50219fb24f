package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.DataDetector;
import java.net.InetAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A real HTTP/2 client, the JDK's, against a real HTTP/2 upstream. */
final class Http2Test {
  private static Harness harness;
  private static HttpClient client;

  @BeforeAll
  static void start(@TempDir Path directory) throws Exception {
    harness = new Harness(directory, true);
    client =
        HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_2)
            .localAddress(InetAddress.getByName(Harness.SLOT))
            .sslContext(harness.lineage.client())
            .build();
  }

  @AfterAll
  static void stop() throws Exception {
    client.close();
    harness.close();
  }

  @BeforeEach
  void forget() {
    harness.upstream.received.clear();
    harness.broker.materialised.clear();
    harness.broker.events.clear();
  }

  private static HttpRequest.Builder to(String path) {
    return HttpRequest.newBuilder(URI.create("https://api.example.test:" + harness.port + path));
  }

  private static HttpResponse<String> ask(HttpRequest.Builder request) throws Exception {
    return client.send(request.build(), HttpResponse.BodyHandlers.ofString());
  }

  @Test
  void aRequestGoesThroughInHttp2OnBothSides() throws Exception {
    HttpResponse<String> answer =
        ask(to("/plain").POST(HttpRequest.BodyPublishers.ofString("hello")));

    assertThat(answer.version()).isEqualTo(HttpClient.Version.HTTP_2);
    assertThat(answer.statusCode()).isEqualTo(200);
    assertThat(harness.upstream.received.getFirst().body()).isEqualTo("hello");
    assertThat(harness.upstream.received.getFirst().header("x-http2-scheme")).isEqualTo("https");
  }

  @Test
  void aGuestThatSpeaksHttp1IsSpokenForInHttp1() throws Exception {
    HttpResponse<String> answer = ask(to("/plain").version(HttpClient.Version.HTTP_1_1));

    assertThat(answer.version()).isEqualTo(HttpClient.Version.HTTP_1_1);
    assertThat(answer.statusCode()).isEqualTo(200);
    assertThat(harness.upstream.received.getFirst().header("x-http2-scheme")).isEmpty();
  }

  @AttackRow({18, 19})
  @Test
  void theSecretIsPutInAndTakenOutOfHeadersBodyAndTrailers() throws Exception {
    for (String path : List.of("/echo", "/header", "/bytes", "/gzip", "/hex", "/base64")) {
      HttpResponse<String> answer =
          ask(to(path).header("authorization", "Bearer " + Harness.PLACEHOLDER));

      assertThat(harness.upstream.received.getLast().header("authorization"))
          .isEqualTo("Bearer " + Harness.VALUE);
      assertThat(answer.body() + answer.headers().map())
          .contains(Harness.PLACEHOLDER)
          .doesNotContain(Harness.VALUE);
    }
  }

  /** HTTP/2 frames a body that HTTP/1.1 could not: one behind a 204. */
  @Test
  void aBodyWhereThereMustBeNoneIsNotGivenOn() throws Exception {
    try (Http2Guest guest = new Http2Guest(harness, "api.example.test")) {
      java.util.Map<String, String> secret =
          java.util.Map.of("authorization", "Bearer " + Harness.PLACEHOLDER);

      assertThat(guest.body("api.example.test", "/no-content", secret)).isEmpty();
      assertThat(guest.body("api.example.test", "/no-content", java.util.Map.of())).isEmpty();
    }
    assertThat(harness.upstream.received).hasSize(2);
    assertThat(harness.upstream.received.getFirst().header("authorization"))
        .isEqualTo("Bearer " + Harness.VALUE);
  }

  @AttackRow(17)
  @Test
  void aPlaceholderElsewhereIsRefusedOnItsStreamAlone() throws Exception {
    HttpResponse<String> refused = ask(to("/x").header("x-other", Harness.PLACEHOLDER));
    HttpResponse<String> allowed = ask(to("/y"));

    assertThat(refused.statusCode()).isEqualTo(403);
    assertThat(refused.headers().firstValue("cofferdam-reason"))
        .contains("placeholder_outside_target");
    assertThat(allowed.statusCode()).isEqualTo(200);
    assertThat(harness.upstream.received).hasSize(1);
    AuditEvent event = harness.broker.event(e -> e.getPath().equals("/x"));
    assertThat(event.getSecret()).isEqualTo("api-key");
  }

  @AttackRow({10, 15})
  @Test
  void aPlaceholderInABodyIsRefused() throws Exception {
    String body = "x".repeat(200_000) + Harness.PLACEHOLDER;

    HttpResponse<String> answer =
        ask(
            to("/")
                .POST(
                    HttpRequest.BodyPublishers.ofByteArray(
                        body.getBytes(StandardCharsets.US_ASCII))));

    assertThat(answer.statusCode()).isEqualTo(403);
    assertThat(harness.upstream.received).isEmpty();
  }

  /** A frame for each byte, past what is seen before the upstream is called. */
  @AttackRow(55)
  @Test
  void whatADataRuleForbidsIsFoundOverDataFrames() throws Exception {
    var policy = Harness.attachment(harness.port).getPolicy().toBuilder();
    policy.addDataBuilder().addDetectors(DataDetector.DATA_DETECTOR_EMAIL_ADDRESSES);
    harness.apply(Harness.attachment(harness.port).setPolicyRevision(2).setPolicy(policy).build());
    try {
      byte[] mail = "jane.doe@example.com ".getBytes(StandardCharsets.US_ASCII);
      List<byte[]> pieces = new ArrayList<>();
      pieces.add(" ".repeat(100_000).getBytes(StandardCharsets.US_ASCII));
      for (byte one : mail) {
        pieces.add(new byte[] {one});
      }
      assertThat(ask(to("/").POST(HttpRequest.BodyPublishers.ofByteArrays(pieces))).body())
          .contains("\"data_not_allowed\"");
      assertThat(harness.upstream.received).isEmpty();
      assertThat(ask(to("/").POST(HttpRequest.BodyPublishers.ofString("clean"))).statusCode())
          .isEqualTo(200);
    } finally {
      harness.apply(Harness.attachment(harness.port).setPolicyRevision(3).build());
    }
  }

  @Test
  void manyStreamsAtOnceAreEachAnswered() {
    List<CompletableFuture<HttpResponse<String>>> answers =
        java.util.stream.IntStream.range(0, 40)
            .mapToObj(i ->
                client.sendAsync(to("/many?" + i).build(), HttpResponse.BodyHandlers.ofString()))
            .toList();

    for (CompletableFuture<HttpResponse<String>> answer : answers) {
      assertThat(answer.join().statusCode()).isEqualTo(200);
    }
    assertThat(harness.upstream.received).hasSize(40);
  }

  @Test
  void aLargeAnswerArrivesWhole() throws Exception {
    assertThat(ask(to("/large")).body()).hasSize(4 << 20);
    assertThat(ask(to("/large").header("authorization", Harness.PLACEHOLDER)).body())
        .hasSize(4 << 20);
  }

  @AttackRow(3)
  @Test
  void anAuthorityThatDiffersFromTheServerNameIsRefusedOnItsStream() throws Exception {
    try (Http2Guest guest = new Http2Guest(harness, "api.example.test")) {
      assertThat(guest.ask("other.example.test", "/", java.util.Map.of())).isEqualTo("421");
      assertThat(guest.ask("api.example.test", "/", java.util.Map.of("host", "other.example.test")))
          .isEqualTo("400");
      assertThat(guest.ask("api.example.test", "/", java.util.Map.of())).isEqualTo("200");
    }
    assertThat(harness.upstream.received).hasSize(1);
  }

  @AttackRow(34)
  @Test
  void resettingStreamsRapidlyEndsTheConnectionAndNoOthers() throws Exception {
    try (Http2Guest guest = new Http2Guest(harness, "api.example.test")) {
      guest.resetRapidly(2000);
      assertThat(guest.awaitClosed()).isTrue();
    }
    assertThat(ask(to("/after")).statusCode()).isEqualTo(200);
  }
}
