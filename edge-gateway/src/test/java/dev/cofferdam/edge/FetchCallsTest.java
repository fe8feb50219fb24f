package dev.cofferdam.edge;

import static dev.cofferdam.edge.Eventually.eventually;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.cofferdam.v1.ProcessSpec;
import dev.cofferdam.v1.SignalProcessRequest;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Base64;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Requests through a sandbox, and what a client gives up, before a mesh that is made up. */
final class FetchCallsTest {
  private static final int SIGKILL = 9;

  private final FakeMesh mesh;
  private final EdgeApp app;
  private final Sdk sdk;
  private final Sdk.Socket socket;
  private final Deque<JsonNode> before = new ArrayDeque<>();
  private int calls;

  FetchCallsTest() throws Exception {
    mesh = new FakeMesh();
    app = TestEdge.start(mesh, Map.of());
    sdk = new Sdk(app.port());
    socket = sdk.create(Sdk.BOTH, "{\"timeout\":\"10m\"}");
  }

  @AfterEach
  void close() {
    sdk.close();
    app.close();
    mesh.close();
  }

  private JsonNode fetch(String url, String more) throws Exception {
    socket.call(++calls, "fetch", params(url, more));
    return answer(calls);
  }

  /** A body may begin before its head's answer is there: what comes meanwhile is kept. */
  private JsonNode answer(int id) throws Exception {
    for (JsonNode kept : before) {
      if (kept.path("id").asInt() == id) {
        before.remove(kept);
        return kept;
      }
    }
    JsonNode message = socket.next();
    while (message.path("id").asInt() != id) {
      before.add(message);
      message = socket.next();
    }
    return message;
  }

  private JsonNode next() throws Exception {
    JsonNode kept = before.poll();
    return kept == null ? socket.next() : kept;
  }

  private static String params(String url, String more) {
    String rest = more.contains("\"method\"") ? more : ",\"method\":\"GET\"" + more;
    return "{\"url\":\"%s\"%s}".formatted(url, rest);
  }

  private JsonNode ok(String url, String more) throws Exception {
    JsonNode answer = fetch(url, more);
    assertThat(answer.path("result").has("ok")).as(answer.toString()).isTrue();
    return answer.at("/result/ok");
  }

  private JsonNode error(String url, String more) throws Exception {
    return fetch(url, more).at("/result/error");
  }

  private static List<String> words(ProcessSpec spec) {
    return spec.getArgvList();
  }

  /** The stream's messages up to its end; what failed ends it with an error. */
  private String body(JsonNode answer) throws Exception {
    StringBuilder text = new StringBuilder();
    for (JsonNode message = next(); ; message = next()) {
      assertThat(message.at("/params/streamId").asLong())
          .isEqualTo(answer.path("bodyStreamId").asLong());
      String data = message.at("/params/data").asText();
      text.append(new String(Base64.getDecoder().decode(data), StandardCharsets.UTF_8));
      switch (message.path("method").asText()) {
        case "$sandbox.stream.end" -> {
          return text.toString();
        }
        case "$sandbox.stream.error" -> text.append(" broken");
        default -> {
          // Its begin, or a part.
        }
      }
    }
  }

  private boolean killed(String process) {
    return mesh.signals.stream()
        .filter(signal -> signal.getSignal() == SIGKILL)
        .map(SignalProcessRequest::getProcess)
        .anyMatch(process::equals);
  }

  @Test
  void anAnswerHasItsHeadAndItsBody() throws Exception {
    JsonNode answer =
        ok("http://a.test/early", ",\"headers\":[[\"X-Empty\",\"\"],[\"X\",\"@/y\"]]");
    assertThat(answer.path("status").asInt()).as("those of 1xx are passed over").isEqualTo(200);
    assertThat(answer.path("statusText").asText()).isEqualTo("OK");
    assertThat(answer.path("headers").toString()).isEqualTo("[[\"A\",\"1\"],[\"a\",\"2\"]]");
    assertThat(body(answer)).isEqualTo("body");
    assertThat(words(mesh.started.getLast()))
        .startsWith("curl", "-q")
        .containsSequence("--request", "GET")
        .containsSequence("--header", "X-Empty;", "--header", "X: @/y")
        .endsWith("--url", "http://a.test/early");
    assertThat(mesh.signals).as("what has ended is not killed").isEmpty();
    assertThat(ok("http://a.test/none", "").path("bodyStreamId").isNull()).isTrue();
  }

  @Test
  void aBodyIsStreamedBothWays() throws Exception {
    socket.notify("$sandbox.stream.start", "{\"streamId\":7}");
    JsonNode answer =
        ok("http://a.test/echo", ",\"method\":\"POST\",\"bodyStreamId\":7,\"abortId\":3");
    socket.notify("$sandbox.stream.enqueue", "{\"streamId\":7,\"data\":\"aGVsbG8=\"}");
    socket.notify("$sandbox.stream.end", "{\"streamId\":7}");
    assertThat(body(answer)).isEqualTo("hello");
    assertThat(words(mesh.started.getLast()))
        .containsSequence("--request", "POST", "--upload-file", "-", "--header", "Expect:");
  }

  @Test
  void redirectsAreFollowedAsFetchHasIt() throws Exception {
    String headers =
        ",\"headers\":[[\"Authorization\",\"x\"],[\"Content-Type\",\"y\"],[\"Cookie\",\"z\"],"
            + "[\"Proxy-Authorization\",\"w\"],"
            + "[\"Host\",\"elsewhere.test\"],[\"X\",\"1\"]]";
    body(ok("http://a.test/moved", ",\"method\":\"POST\"" + headers));
    assertThat(words(mesh.started.get(0)))
        .containsSequence("--request", "POST")
        .contains("Content-Type: y")
        .doesNotContain("Host: elsewhere.test");
    assertThat(words(mesh.started.get(1)))
        .containsSequence("--request", "GET")
        .contains("Authorization: x", "X: 1")
        .doesNotContain("Content-Type: y")
        .endsWith("--url", "http://a.test/early?a%7Cb");
    mesh.started.clear();
    body(ok("http://a.test/away", headers));
    assertThat(words(mesh.started.get(1)))
        .as("what was for one host alone")
        .contains("X: 1", "Content-Type: y")
        .doesNotContain("Authorization: x", "Cookie: z", "Proxy-Authorization: w")
        .endsWith("http://other.test/early");
    mesh.started.clear();
    body(ok("http://a.test/port", headers));
    assertThat(words(mesh.started.get(1)))
        .as("another port is another origin")
        .contains("X: 1")
        .doesNotContain("Authorization: x", "Cookie: z", "Proxy-Authorization: w");
    assertThat(ok("http://a.test/moved", ",\"redirect\":\"manual\"").path("status").asInt())
        .isEqualTo(302);
  }

  @Test
  void redirectsHaveAnEnd() throws Exception {
    assertThat(error("http://a.test/loop", "").path("constructorName").asText())
        .isEqualTo("TypeError");
    assertThat(mesh.started).hasSize(21);
    assertThat(error("http://a.test/local", "").path("code").asText()).isEqualTo("ERR_INVALID_URL");
    socket.notify("$sandbox.stream.start", "{\"streamId\":8}");
    JsonNode kept = error("http://a.test/away", ",\"method\":\"PUT\",\"bodyStreamId\":8");
    assertThat(kept.path("message").asText()).contains("a body again");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "http://a.test/fail    | ENOTFOUND       | no such host",
        "http://a.test/garbage | ERR_FETCH       | no HTTP",
        "http://a.test/long    | ERR_FETCH       | 256 KiB",
        "file:///etc/passwd    | ERR_INVALID_URL | http",
        "-o/etc/passwd         | ERR_INVALID_URL | http",
        "http:a                | ERR_INVALID_URL | http",
        "http://               | ERR_INVALID_URL | none",
      })
  void whatFailsIsAnErrorOfTypes(String url, String code, String message) throws Exception {
    JsonNode error = error(url, "");
    assertThat(error.path("constructorName").asText()).isEqualTo("TypeError");
    assertThat(error.path("code").asText()).isEqualTo(code);
    assertThat(error.path("message").asText()).contains(message);
  }

  /** Each would be an option, a second header, or a file of the guest's to curl. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        ",\"method\":\"GET\\r\\nX: y\"",
        ",\"method\":\"\"",
        ",\"headers\":[[\"X\",\"a\\r\\nY: b\"]]",
        ",\"headers\":[[\"@/etc/passwd\",\"a\"]]",
        ",\"headers\":[[\"X: y\",\"a\"]]",
        ",\"headers\":[[\"\",\"a\"]]",
        ",\"headers\":[[\"X\"]]",
        ",\"headers\":{\"X\":\"a\"}",
        ",\"redirect\":\"error\"",
        ",\"bodyStreamId\":99",
      })
  void whatIsNoRequestStartsNothing(String more) throws Exception {
    assertThat(fetch("http://a.test/early", more).at("/error/code").asInt()).isEqualTo(-32602);
    assertThat(mesh.started).isEmpty();
  }

  @Test
  void aBodyThatBreaksOffIsNoWholeOne() throws Exception {
    assertThat(body(ok("http://a.test/cut", ""))).isEqualTo("par broken");
  }

  @Test
  void whatIsAbortedBeforeItsAnswerEndsInTheGuest() throws Exception {
    socket.call(1, "fetch", params("http://a.test/hang", ",\"abortId\":5"));
    eventually(() -> mesh.started.size() == 1, "the request");
    socket.call(2, "abort", "{\"abortId\":5}");
    assertThat(answer(1).at("/result/error").toString())
        .isEqualTo(
            "{\"constructorName\":\"DOMException\",\"name\":\"AbortError\","
                + "\"message\":\"the operation was aborted\",\"code\":null}");
    eventually(() -> killed(mesh.started.getFirst().getProcess()), "its end in the guest");
    socket.call(3, "abort", "{\"abortId\":5}");
    assertThat(answer(3).at("/result/ok").isNull()).as("of what is over").isTrue();
    socket.call(4, "readTextFile", "{\"path\":\"/a\",\"abortId\":5}");
    assertThat(answer(4).at("/result/ok").asText()).isEqualTo("/a");
  }

  @Test
  void anAbortEndsTheBodyToo() throws Exception {
    JsonNode answer = ok("http://a.test/endless", ",\"abortId\":6");
    socket.call(99, "abort", "{\"abortId\":6}");
    boolean failed = false;
    while (!failed) {
      JsonNode message = next();
      failed = message.path("method").asText().equals("$sandbox.stream.error");
    }
    assertThat(answer.path("bodyStreamId").isNumber()).isTrue();
    eventually(() -> killed(mesh.started.getFirst().getProcess()), "its end in the guest");
  }

  @Test
  void aCancelledBodyEndsInTheGuest() throws Exception {
    long stream = ok("http://a.test/endless", "").path("bodyStreamId").asLong();
    socket.notify("$sandbox.stream.cancel", "{\"streamId\":%d,\"reason\":null}".formatted(stream));
    eventually(() -> killed(mesh.started.getFirst().getProcess()), "its end in the guest");
  }

  /** The sandbox goes on, which has a timeout of its own. */
  @Test
  void aClientThatVanishesLeavesNoRequestBehind() throws Exception {
    ok("http://a.test/endless", "");
    socket.call(++calls, "fetch", params("http://a.test/hang", ""));
    eventually(() -> mesh.started.size() == 2, "both requests");
    socket.socket().abort();
    for (ProcessSpec each : mesh.started) {
      eventually(() -> killed(each.getProcess()), "the end of " + each.getProcess());
    }
    assertThat(mesh.deleted).isEmpty();
  }

  @Test
  void whatAConnectionsEndSaysIsNoUsers() throws Exception {
    List<String> names =
        List.of(
            "Connection",
            "Content-Length",
            "Expect",
            "Keep-Alive",
            "Proxy-Connection",
            "TE",
            "Trailer",
            "Transfer-Encoding",
            "Upgrade");
    String headers =
        names.stream().map(name -> "[\"" + name + "\",\"1\"]").collect(Collectors.joining(","));
    body(ok("http://a.test/early", ",\"headers\":[" + headers + "]"));
    assertThat(words(mesh.started.getLast())).doesNotContain("--header");
  }

  @Test
  void aRequestHasItsLimits() throws Exception {
    String header = "[\"X\",\"a\"]";
    String most = (header + ",").repeat(255) + header;
    body(ok("http://a.test/early", ",\"headers\":[" + most + "]"));
    for (String over : List.of(most + "," + header, "[\"X\",\"" + "a".repeat(64 << 10) + "\"]")) {
      assertThat(
              fetch("http://a.test/early", ",\"headers\":[" + over + "]").at("/error/code").asInt())
          .isEqualTo(-32602);
    }
    assertThat(error("http://a.test/" + "a".repeat(16 << 10), "").path("code").asText())
        .isEqualTo("ERR_INVALID_URL");
    assertThat(mesh.started).hasSize(1);
  }

  @Test
  void requestsAreCountedUntilTheyAreOver() throws Exception {
    error("http://a.test/fail", "");
    body(ok("http://a.test/early", ""));
    mesh.started.clear();
    int first = calls + 1;
    for (int i = 0; i < 128; i++) {
      socket.call(++calls, "fetch", params("http://a.test/hang", ",\"abortId\":" + calls));
    }
    eventually(() -> mesh.started.size() == 128, "as many as there may be");
    assertThat(error("http://a.test/early", "").path("code").asText()).isEqualTo("EAGAIN");
    socket.call(++calls, "abort", "{\"abortId\":%d}".formatted(first));
    assertThat(answer(first).at("/result/error/name").asText()).isEqualTo("AbortError");
    answer(calls);
    assertThat(body(ok("http://a.test/early", ""))).isEqualTo("body");
  }
}
