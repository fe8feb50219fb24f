package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import io.netty.channel.ChannelHandlerContext;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Base64;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Answers that go on for as long as somebody listens (text/event-stream and the like): what comes
 * is passed on as it comes, also where it is searched.
 */
@Timeout(120)
final class StreamingTest {
  private static Harness harness;
  private static HttpClient client;

  @BeforeAll
  static void start(@TempDir Path directory) throws Exception {
    harness = new Harness(directory, true);
    client =
        HttpClient.newBuilder()
            .localAddress(InetAddress.getByName(Harness.SLOT))
            .sslContext(harness.lineage.client())
            .build();
  }

  @AfterAll
  static void stop() throws Exception {
    client.shutdownNow();
    harness.close();
  }

  /** Both ends of one stream of events. */
  private record Events(ChannelHandlerContext upstream, InputStream guest)
      implements AutoCloseable {
    static Events open(HttpClient.Version version, boolean secret) throws Exception {
      HttpRequest.Builder request =
          HttpRequest.newBuilder(URI.create("https://api.example.test:" + harness.port + "/events"))
              .version(version);
      if (secret) {
        request.header("Authorization", "Bearer " + Harness.PLACEHOLDER);
      }
      CompletableFuture<HttpResponse<InputStream>> answer =
          client.sendAsync(request.build(), HttpResponse.BodyHandlers.ofInputStream());
      ChannelHandlerContext upstream = harness.upstream.longBodies.listener();
      HttpResponse<InputStream> begun = answer.get(20, TimeUnit.SECONDS);
      assertThat(begun.version()).isEqualTo(version);
      assertThat(begun.headers().firstValue("content-type")).contains("text/event-stream");
      return new Events(upstream, begun.body());
    }

    void say(String text) {
      LongBodies.Control.say(upstream, text);
    }

    /** Up to the empty line. */
    String heard() throws IOException {
      ByteArrayOutputStream event = new ByteArrayOutputStream();
      while (!event.toString(StandardCharsets.ISO_8859_1).endsWith("\n\n")) {
        event.write(guest.read());
      }
      return event.toString(StandardCharsets.ISO_8859_1);
    }

    @Override
    public void close() throws IOException {
      guest.close();
      upstream.close();
    }
  }

  @ParameterizedTest
  @CsvSource({"HTTP_1_1, false", "HTTP_1_1, true", "HTTP_2, false", "HTTP_2, true"})
  void anEventIsThereBeforeTheNextIsSaid(HttpClient.Version version, boolean secret)
      throws Exception {
    try (Events events = Events.open(version, secret)) {
      for (int i = 0; i < 100; i++) {
        String event = "id: " + i + "\ndata: " + "x".repeat(i * 100) + "\n\n";
        events.say(event);
        assertThat(events.heard()).isEqualTo(event);
      }
    }
  }

  /** Only what may yet become a value waits, and only until it does not. */
  @ParameterizedTest
  @ValueSource(strings = {"HTTP_1_1", "HTTP_2"})
  void whatOnlyBeginsLikeTheValueComesAsItIs(HttpClient.Version version) throws Exception {
    try (Events events = Events.open(version, true)) {
      for (int length = 1; length < Harness.VALUE.length(); length++) {
        String event = "data: " + Harness.VALUE.substring(0, length) + "\n\n";
        events.say(event);
        assertThat(events.heard()).isEqualTo(event);
      }
    }
  }

  @AttackRow(18)
  @ParameterizedTest
  @ValueSource(strings = {"HTTP_1_1", "HTTP_2"})
  void aValueThatIsCutAnywhereIsFound(HttpClient.Version version) throws Exception {
    String packed =
        Base64.getEncoder().encodeToString(Harness.VALUE.getBytes(StandardCharsets.ISO_8859_1));
    try (Events events = Events.open(version, true)) {
      for (int cut = 0; cut <= Harness.VALUE.length(); cut++) {
        events.say("data: " + Harness.VALUE.substring(0, cut));
        events.say(Harness.VALUE.substring(cut) + "\n\n");
        assertThat(events.heard()).isEqualTo("data: " + Harness.PLACEHOLDER + "\n\n");
      }
      for (int cut = 0; cut <= packed.length(); cut++) {
        events.say("data: " + packed.substring(0, cut));
        events.say(packed.substring(cut) + "\n\n");
        assertThat(events.heard()).doesNotContain(packed.substring(4, 30));
      }
      Harness.VALUE.chars().forEach(letter -> events.say(Character.toString(letter)));
      events.say("\n\n");
      assertThat(events.heard()).isEqualTo(Harness.PLACEHOLDER + "\n\n");
    }
  }
}
