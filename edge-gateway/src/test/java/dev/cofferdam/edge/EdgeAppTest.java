package dev.cofferdam.edge;

import static dev.cofferdam.edge.Eventually.eventually;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.google.protobuf.ByteString;
import dev.cofferdam.v1.CreateSandboxRequest;
import dev.cofferdam.v1.PutSecretRequest;
import dev.cofferdam.v1.SandboxState;
import java.net.http.HttpResponse;
import java.net.http.WebSocketHandshakeException;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The whole edge on a socket, before a mesh that is made up. */
final class EdgeAppTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  /** A server takes two seconds to close, in which the next test needs not wait. */
  private static final List<Thread> CLOSING = new CopyOnWriteArrayList<>();

  private FakeMesh mesh;
  private EdgeApp app;
  private Sdk sdk;

  EdgeAppTest() throws Exception {
    mesh = new FakeMesh();
    app = TestEdge.start(mesh, Map.of());
    sdk = new Sdk(app.port());
  }

  private void restart(Map<String, String> settings) throws Exception {
    sdk.close();
    app.close();
    app = TestEdge.start(mesh, settings);
    sdk = new Sdk(app.port());
  }

  @BeforeEach
  void nothingIsLeftOfAnother() {
    assertThat(mesh.created).isEmpty();
  }

  @AfterEach
  void close() {
    sdk.close();
    EdgeApp ending = app;
    CLOSING.add(
        Thread.ofVirtual()
            .start(() -> {
              ending.close();
              mesh.close();
            }));
  }

  @AfterAll
  static void allAreClosed() throws InterruptedException {
    for (Thread closing : CLOSING) {
      closing.join();
    }
  }

  private static String base64(String text) {
    return Base64.getEncoder().encodeToString(text.getBytes(StandardCharsets.UTF_8));
  }

  private static String text(JsonNode enqueue) {
    return new String(
        Base64.getDecoder().decode(enqueue.path("params").path("data").asText()),
        StandardCharsets.UTF_8);
  }

  @Test
  void aSandboxWithoutTimeoutEndsWithItsSocket() throws Exception {
    Sdk.Socket socket = sdk.create(Sdk.BOTH, "{\"memory_mb\":1280,\"labels\":{\"a\":\"b\"}}");
    CreateSandboxRequest request = mesh.created.getFirst();
    assertThat(request.getLabelsMap()).containsEntry("a", "b").containsEntry("deno.region", "ord");
    assertThat(request.getLifetime().getSeconds()).as("the lease").isEqualTo(300);
    assertThat(request.getEgressPolicy().getRulesList()).as("nothing is allowed").isEmpty();
    socket.send("ping");
    assertThat(socket.nextRaw()).isEqualTo("pong");
    socket.socket().sendClose(1000, "").join();
    assertThat(socket.closeCode()).isEqualTo(1000);
    eventually(() -> mesh.deleted.size() == 1, "the delete");
  }

  /** More than is read ahead, again and again: reading has to stop and to go on. */
  @Test
  void whatIsSentFastIsAllTaken() throws Exception {
    String large = "{\"jsonrpc\":\"2.0\",\"method\":\"$x\",\"x\":\"" + "x".repeat(1 << 20) + "\"}";
    for (int i = 0; i < 12; i++) {
      Sdk.Socket socket = sdk.create(Sdk.BOTH, "{}");
      for (int j = 0; j < 8; j++) {
        socket.send(large);
      }
      socket.send("ping");
      assertThat(socket.nextRaw()).isEqualTo("pong");
    }
    mesh.created.clear();
  }

  @Test
  void aClientThatVanishesLeavesNothing() throws Exception {
    Sdk.Socket socket = sdk.create(Sdk.BOTH, "{}");
    socket.call(1, "spawn", "{\"command\":\"deaf\",\"stdout\":\"piped\",\"stderr\":\"null\"}");
    socket.answer(1);
    socket.call(2, "processWait", "{\"pid\":101}");
    socket.socket().abort();
    eventually(() -> mesh.deleted.size() == 1, "the delete");
    eventually(() -> mesh.cancelledProcesses.get() == 1, "the end of the call");
  }

  @Test
  void aSandboxWithATimeoutStaysAndIsFoundAgain() throws Exception {
    Sdk.Socket socket = sdk.create(Sdk.BOTH, "{\"timeout\":\"10m\"}");
    assertThat(mesh.created.getFirst().getLifetime().getSeconds()).isEqualTo(600);
    String list = sdk.send("GET", "/api/v3/sandboxes", Sdk.BOTH, "").body();
    String id = JSON.readTree(list).get(0).path("id").asText();
    socket.socket().sendClose(1000, "").join();
    assertThat(socket.closeCode()).isEqualTo(1000);

    Sdk.Socket again = sdk.connect(Sdk.BOTH, id);
    again.call(1, "readTextFile", "{\"path\":\"/etc/x\"}");
    assertThat(again.answer(1).at("/result/ok").asText()).isEqualTo("/etc/x");
    assertThat(mesh.deleted).isEmpty();

    HttpResponse<String> extended =
        sdk.send(
            "PATCH",
            "/api/v3/sandbox/" + id,
            Sdk.BOTH,
            "{\"stop_at_ms\":" + (System.nanoTime() / 1_000_000 + (1L << 42)) + "}");
    assertThat(extended.statusCode()).as(extended.body()).isEqualTo(200);
    assertThat(JSON.readTree(extended.body()).path("stop_at_ms").asLong()).isPositive();

    assertThat(sdk.send("DELETE", "/api/v3/sandbox/" + id, Sdk.BOTH, "").statusCode())
        .isEqualTo(200);
    assertThat(again.closeCode()).as("its sockets end with it").isEqualTo(1000);
    assertThat(sdk.send("DELETE", "/api/v3/sandboxes/" + id, Sdk.BOTH, "").statusCode())
        .isEqualTo(404);
  }

  @Test
  void secretsGoToTheBrokerFirstAndEndWithTheSandbox() throws Exception {
    Sdk.Socket socket =
        sdk.create(
            Sdk.BOTH,
            "{\"secrets\":{\"API_KEY\":{\"hosts\":[\"API.test\"],\"value\":\"v\\u00e4lue-of-the-key\"},"
                + "\"B\":{\"hosts\":[\"b.test\"],\"value\":\"short\"}}}");
    CreateSandboxRequest request = mesh.created.getFirst();
    assertThat(request.getSecretsList())
        .extracting(reference -> reference.getEnv())
        .containsExactly("API_KEY", "B");
    PutSecretRequest put =
        Objects.requireNonNull(mesh.secrets.get(request.getSecrets(0).getSecret()));
    assertThat(put.getValue()).isEqualTo(ByteString.copyFromUtf8("välue-of-the-key"));
    assertThat(put.getBindings(0).getHostsList()).containsExactly("api.test");
    assertThat(put.getBindings(0).getTargetsList()).containsExactly("header:*");
    assertThat(put.getWeak()).isFalse();
    assertThat(put.getShape().getPrefix()).isEqualTo("DENO_SECRET_PLACEHOLDER_");
    assertThat(request.getEgressPolicy().getRulesList())
        .extracting(rule -> rule.getHost())
        .containsExactly("api.test", "b.test");
    assertThat(app.server().carried()).isZero();

    socket.socket().abort();
    eventually(() -> mesh.secrets.isEmpty(), "the secrets' end");
    assertThat(mesh.tokens)
        .as("each service sees its own token alone")
        .noneMatch(seen -> seen.contains("SecretService") != seen.contains(FakeMesh.SECRETS_TOKEN));
  }

  @Test
  void aCreateThatFailsLeavesNoSecret() {
    mesh.full = true;
    assertRefused(
        429,
        "{\"secrets\":{\"A\":{\"hosts\":[\"a.test\"],\"value\":\"0123456789abcdef\"}}}",
        Sdk.BOTH);
    assertThat(mesh.created).hasSize(1);
    assertThat(mesh.secrets).isEmpty();
  }

  /** It waits for the connection's end, which loses nothing of the answer. */
  @Test
  void aClientThatClosesIsAnsweredAndItsConnectionEnded() throws Exception {
    for (int i = 0; i < 20; i++) {
      try (RawClient client = new RawClient(app.port()).create()) {
        // Close frames with 1000; the client's is masked with nothing.
        client.send("\u0088\u0082\0\0\0\0\u0003\u00e8");
        assertThat(client.rest()).isEqualTo("\u0088\u0002\u0003\u00e8");
      }
    }
  }

  @Test
  void withoutItsTokenNoSecretIsSent() {
    assertRefused(
        403,
        "{\"secrets\":{\"A\":{\"hosts\":[\"a.test\"],\"value\":\"0123456789abcdef\"}}}",
        "ddo_" + FakeMesh.TOKEN);
    assertThat(mesh.tokens).isEmpty();
  }

  private void assertRefused(int status, String config, String token) {
    assertThatThrownBy(() -> sdk.create(token, config))
        .isInstanceOf(CompletionException.class)
        .cause()
        .isInstanceOfSatisfying(
            WebSocketHandshakeException.class,
            refused -> assertThat(refused.getResponse().statusCode()).isEqualTo(status));
  }

  @ParameterizedTest
  @ValueSource(strings = {"ddo_cfd_tk-bad_x", "cfd_tk-one_x", "ddo_", "ddo_a.b.c", "ddo_a b"})
  void aTokenThatIsNoneIsRefusedEverywhere(String token) throws Exception {
    assertRefused(401, "{}", token);
    for (String path : List.of("/api/v3/sandboxes", "/api/v2/sandboxes", "/api/v2/apps")) {
      HttpResponse<String> answer = sdk.send("GET", path, token, "");
      if (!path.endsWith("apps") || !token.startsWith("ddo_cfd")) {
        assertThat(answer.statusCode()).as(path).isEqualTo(401);
        assertThat(JSON.readTree(answer.body()).path("code").asText()).isEqualTo("INVALID_TOKEN");
      }
      assertThat(answer.body()).doesNotContain("tk-");
    }
  }

  @Test
  void anotherTenantsSandboxIsNotThere() throws Exception {
    sdk.create(Sdk.BOTH, "{\"timeout\":\"10m\"}");
    String list = sdk.send("GET", "/api/v3/sandboxes", Sdk.BOTH, "").body();
    String id = JSON.readTree(list).get(0).path("id").asText();
    String stranger = "ddo_" + FakeMesh.STRANGER;
    assertThat(sdk.send("DELETE", "/api/v3/sandbox/" + id, stranger, "").statusCode())
        .isEqualTo(404);
    assertThatThrownBy(() -> sdk.connect(stranger, id))
        .cause()
        .isInstanceOf(WebSocketHandshakeException.class);
    assertThat(mesh.deleted).isEmpty();
  }

  @Test
  void listsHavePagesAsThePythonSdkWalksThem() throws Exception {
    restart(Map.of("limits.page-size", "2"));
    for (int i = 0; i < 3; i++) {
      sdk.create(Sdk.BOTH, "{\"timeout\":\"10m\",\"labels\":{\"n\":\"" + i + "\"}}");
    }
    Set<String> seen = new HashSet<>();
    HttpResponse<String> first = sdk.send("GET", "/api/v3/sandboxes", Sdk.BOTH, "");
    JSON.readTree(first.body()).forEach(item -> seen.add(item.path("id").asText()));
    assertThat(seen).hasSize(2);
    String link = first.headers().firstValue("link").orElseThrow();
    assertThat(link).endsWith("; rel=\"next\"").doesNotContain(",");
    String address = link.substring(1, link.indexOf('>'));
    HttpResponse<String> second =
        sdk.send(
            "GET",
            "/api/v3/sandboxes?cursor="
                + java.net.URLEncoder.encode(address, StandardCharsets.UTF_8),
            Sdk.BOTH,
            "");
    JSON.readTree(second.body()).forEach(item -> seen.add(item.path("id").asText()));
    assertThat(seen).hasSize(3);
    assertThat(second.headers().firstValue("link")).isEmpty();
    assertThat(
            JSON.readTree(
                sdk.send("GET", "/api/v2/sandboxes?labels%5Bn%5D=1", Sdk.BOTH, "").body()))
        .hasSize(1);
  }

  @Test
  void theirPlatformsOwnPartsSayThatTheyAreNotServed() throws Exception {
    for (String path :
        List.of("/api/v2/apps", "/api/v2/revisions/x/cancel", "/api/v2/sandboxes/x/deploy")) {
      HttpResponse<String> answer = sdk.send("POST", path, Sdk.BOTH, "{}");
      assertThat(answer.statusCode()).as(path).isEqualTo(501);
      assertThat(JSON.readTree(answer.body()).path("code").asText()).isEqualTo("NOT_SERVED");
      assertThat(answer.headers().firstValue("x-deno-trace-id")).isPresent();
    }
    assertThat(sdk.send("GET", "/x", Sdk.BOTH, "").statusCode()).isEqualTo(404);
  }

  @Test
  void outputWaitsUntilItsReaderIsThere() throws Exception {
    Sdk.Socket socket = sdk.create(Sdk.BOTH, "{}");
    socket.notify("$sandbox.stream.start", "{\"streamId\":7}");
    socket.call(
        1,
        "spawn",
        "{\"command\":\"cat\",\"stdinStreamId\":7,\"stdout\":\"piped\",\"stderr\":\"piped\",\"env\":null}");
    JsonNode spawned = socket.answer(1).at("/result/ok");
    socket.notify(
        "$sandbox.stream.enqueue", "{\"streamId\":7,\"data\":\"" + base64("hello") + "\"}");
    socket.notify("$sandbox.stream.end", "{\"streamId\":7}");
    socket.call(2, "readTextFile", "{\"path\":\"/a/../b\"}");
    assertThat(socket.answer(2).at("/result/ok").asText()).isEqualTo("/b");
    assertThat(socket.silent()).isTrue();

    socket.call(3, "processWait", "{\"pid\":" + spawned.path("pid").asInt() + "}");
    StringBuilder said = new StringBuilder();
    JsonNode message = socket.next();
    long stdout = spawned.path("stdoutStreamId").asLong();
    while (!message.has("id")) {
      if (message.path("method").asText().equals("$sandbox.stream.enqueue")) {
        assertThat(message.at("/params/streamId").asLong()).isEqualTo(stdout);
        said.append(text(message));
      }
      message = socket.next();
    }
    assertThat(said).hasToString("hello");
    assertThat(message.path("result").path("ok").toString())
        .isEqualTo("{\"success\":true,\"code\":0,\"signal\":null,\"oom\":null}");
  }

  /** Its stream takes no more, and ends only once it is read, which is after the answer. */
  @Test
  void aProcessThatHasSaidMuchAndEndedHoldsUpNoSpawn() throws Exception {
    Sdk.Socket socket = sdk.create(Sdk.BOTH, "{}");
    for (int i = 1; i < 100; i += 2) {
      socket.call(i, "spawn", "{\"command\":\"quick\",\"stdout\":\"null\",\"stderr\":\"null\"}");
      int pid = socket.answer(i).at("/result/ok/pid").asInt();
      socket.call(i + 1, "processWait", "{\"pid\":" + pid + "}");
      assertThat(socket.answer(i + 1).at("/result/ok/success").asBoolean()).isTrue();
    }
  }

  /** It starts only once its input has ended. */
  @Test
  void withoutInputItsEndGoesWithTheStart() throws Exception {
    Sdk.Socket socket = sdk.create(Sdk.BOTH, "{}");
    socket.call(1, "spawn", "{\"command\":\"inputless\",\"stdout\":\"null\",\"stderr\":\"null\"}");
    assertThat(socket.answer(1).at("/result/ok/pid").asInt()).isPositive();
  }

  @Test
  void errorsAreThoseOfTheSdks() throws Exception {
    Sdk.Socket socket = sdk.create(Sdk.BOTH, "{}");
    socket.call(1, "download", "{}");
    assertThat(socket.answer(1).at("/error/message").asText()).isEqualTo("Method not found");
    socket.call(2, "spawn", "{\"command\":5,\"stdout\":\"piped\",\"stderr\":\"piped\"}");
    JsonNode data = socket.answer(2).at("/error/data");
    assertThat(data.path("constructorName").asText()).isEqualTo("ZodError");
    JsonNode issue = JSON.readTree(data.path("message").asText()).get(0);
    assertThat(issue.path("path").get(0).asText()).isEqualTo("command");
    assertThat(issue.path("expected").asText()).isEqualTo("string");
    socket.call(3, "readFile", "{\"path\":\"/missing\"}");
    JsonNode missing = socket.answer(3).at("/result/error");
    assertThat(missing.path("constructorName").asText()).isEqualTo("NotFound");
    assertThat(missing.path("code").asText()).isEqualTo("ENOENT");
    socket.call(4, "processWait", "{\"pid\":1}");
    JsonNode gone = socket.answer(4).at("/result/error");
    assertThat(gone.path("constructorName").asText()).isEqualTo("TypeError");
    assertThat(gone.path("code").asText()).isEqualTo("ENOENT");
    socket.call(5, "spawn", "{\"command\":\"nothing\"}");
    assertThat(socket.answer(5).at("/result/error/code").asText()).isEqualTo("ENOENT");
    socket.call(6, "processKill", "{\"pid\":1,\"signal\":\"SIGNOTHING\"}");
    assertThat(socket.answer(6).at("/error/code").asInt()).isEqualTo(-32602);
    socket.call(7, "writeFile", "{\"path\":\"/x\",\"contentStreamId\":99}");
    assertThat(socket.answer(7).at("/error/code").asInt()).isEqualTo(-32602);
  }

  @Test
  void theEnvironmentIsTheSandboxesWithTheSessionsChanges() throws Exception {
    Sdk.Socket socket = sdk.create(Sdk.BOTH, "{}");
    socket.call(1, "envSet", "{\"key\":\"C\",\"value\":\"3\"}");
    socket.answer(1);
    socket.call(2, "envDelete", "{\"key\":\"A\"}");
    socket.answer(2);
    socket.call(3, "envToObject", "{}");
    JsonNode all = socket.answer(3).at("/result/ok");
    assertThat(all.path("B").asText()).isEqualTo("two\nlines");
    assertThat(all.path("C").asText()).isEqualTo("3");
    assertThat(all.has("A")).isFalse();
    socket.call(4, "envGet", "{\"key\":\"C\"}");
    assertThat(socket.answer(4).at("/result/ok").asText()).isEqualTo("3");
    socket.call(5, "envSet", "{\"key\":\"a=b\",\"value\":\"3\"}");
    assertThat(socket.answer(5).at("/error/code").asInt()).isEqualTo(-32602);
  }

  /**
   * Its streams break before the news of its end comes: no call fails for that, the socket ends.
   */
  @Test
  void aSandboxThatEndsEndsItsSocketAndFailsNoCall() throws Exception {
    Sdk.Socket socket = sdk.create(Sdk.BOTH, "{\"timeout\":\"10m\"}");
    socket.call(1, "spawn", "{\"command\":\"deaf\",\"stdout\":\"null\",\"stderr\":\"null\"}");
    int pid = socket.answer(1).at("/result/ok/pid").asInt();
    socket.call(2, "processWait", "{\"pid\":" + pid + "}");
    String list = sdk.send("GET", "/api/v3/sandboxes", Sdk.BOTH, "").body();
    String id = JSON.readTree(list).get(0).path("id").asText();
    assertThat(sdk.send("DELETE", "/api/v3/sandbox/" + id, Sdk.BOTH, "").statusCode())
        .isEqualTo(200);
    assertThat(socket.closeCode()).isEqualTo(1000);
    assertThat(socket.silent()).isTrue();
  }

  @Test
  void aThousandCallsAtATimeHaveEachItsAnswer() throws Exception {
    Sdk.Socket socket = sdk.create(Sdk.BOTH, "{}");
    for (int i = 0; i < 1000; i++) {
      socket.call(i, "readTextFile", "{\"path\":\"/file/" + i + "\"}");
    }
    Set<Integer> answered = new HashSet<>();
    while (answered.size() < 1000) {
      JsonNode answer = socket.next();
      int id = answer.path("id").asInt();
      assertThat(answer.at("/result/ok").asText()).isEqualTo("/file/" + id);
      assertThat(answered.add(id)).as("answered once").isTrue();
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{",
        "nonsense",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"x\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\"} {}",
        "{\"jsonrpc\":\"2.0\",\"id\":11111111111111111111111111111111111111111111,\"method\":\"x\"}"
      })
  void whatIsNoJsonEndsTheSession(String message) throws Exception {
    Sdk.Socket socket = sdk.create(Sdk.BOTH, "{}");
    socket.send(message);
    assertThat(socket.closeCode()).isEqualTo(4000);
    eventually(() -> mesh.deleted.size() == 1, "the delete");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "[]",
        "{}",
        "null",
        "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\"}]",
        "{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"x\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"x\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"x\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\",\"params\":[1]}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"$sandbox.stream.start\",\"params\":{\"streamId\":\"7\"}}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"$sandbox.stream.enqueue\",\"params\":{\"streamId\":1,\"data\":\"*\"}}"
      })
  void whatIsNoMessageEndsTheSession(String message) throws Exception {
    Sdk.Socket socket = sdk.create(Sdk.BOTH, "{}");
    socket.send(message);
    assertThat(socket.closeCode()).isEqualTo(4001);
  }

  @Test
  void depthHasALimit() throws Exception {
    Sdk.Socket socket = sdk.create(Sdk.BOTH, "{}");
    socket.send("{\"a\":".repeat(5000) + "1" + "}".repeat(5000));
    assertThat(socket.closeCode()).isEqualTo(4000);
  }

  @Test
  void aMessageHasALimitInOneFrameAndInMany() throws Exception {
    restart(Map.of("limits.message-bytes", "65536"));
    Sdk.Socket one = sdk.create(Sdk.BOTH, "{}");
    one.send("\"" + "a".repeat(70_000) + "\"");
    assertThat(one.closeCode()).isEqualTo(1009);
    Sdk.Socket many = sdk.create(Sdk.BOTH, "{}");
    String part = "a".repeat(10_000);
    for (int i = 0; i < 6; i++) {
      many.socket().sendText(part, false).join();
    }
    many.socket().sendText(part, true).join();
    assertThat(many.closeCode()).isEqualTo(1009);
  }

  @Test
  void bytesAreNotSpokenHere() throws Exception {
    Sdk.Socket socket = sdk.create(Sdk.BOTH, "{}");
    socket.socket().sendBinary(java.nio.ByteBuffer.wrap(new byte[] {1}), true).join();
    assertThat(socket.closeCode()).isEqualTo(1003);
  }

  @Test
  void callsAreSoManyAtATime() throws Exception {
    restart(Map.of("limits.calls", "2"));
    Sdk.Socket socket = sdk.create(Sdk.BOTH, "{}");
    socket.notify("$sandbox.stream.start", "{\"streamId\":1}");
    socket.call(
        1,
        "spawn",
        "{\"command\":\"cat\",\"stdinStreamId\":1,\"stdout\":\"null\",\"stderr\":\"null\"}");
    int pid = socket.answer(1).at("/result/ok/pid").asInt();
    socket.call(2, "processWait", "{\"pid\":" + pid + "}");
    socket.call(3, "processWait", "{\"pid\":" + pid + "}");
    socket.call(4, "readTextFile", "{\"path\":\"/a\"}");
    assertThat(socket.answer(4).at("/error/code").asInt()).isEqualTo(-32000);
    socket.notify("$sandbox.stream.end", "{\"streamId\":1}");
    assertThat(socket.answer(2).at("/result/ok/success").asBoolean()).isTrue();
  }

  /** A client that takes nothing is no reason to keep what it was sent, or its sandbox. */
  @Test
  void aStalledSocketEnds() throws Exception {
    restart(Map.of("limits.stall", "1s", "limits.output-bytes", "65536"));
    Sdk.Socket socket = sdk.create(Sdk.BOTH, "{}");
    socket.call(1, "spawn", "{\"command\":\"flood\",\"stdout\":\"piped\",\"stderr\":\"null\"}");
    int pid = socket.answer(1).at("/result/ok/pid").asInt();
    socket.stopReading();
    socket.call(2, "processWait", "{\"pid\":" + pid + "}");
    eventually(() -> mesh.deleted.size() == 1, "the delete");
    eventually(() -> mesh.cancelledProcesses.get() == 1, "the end of the call");
  }

  /** The protocol has no credits: a stream that nothing takes must not hold up a kill for ever. */
  @Test
  void aStreamThatNothingTakesIsGivenUp() throws Exception {
    restart(Map.of("limits.stall", "1s", "limits.input-bytes", "65536"));
    Sdk.Socket socket = sdk.create(Sdk.BOTH, "{}");
    socket.notify("$sandbox.stream.start", "{\"streamId\":1}");
    String data = base64("x".repeat(48_000));
    for (int i = 0; i < 4; i++) {
      socket.notify("$sandbox.stream.enqueue", "{\"streamId\":1,\"data\":\"" + data + "\"}");
    }
    socket.call(2, "readTextFile", "{\"path\":\"/still\"}");
    JsonNode cancelled = socket.next();
    assertThat(cancelled.path("method").asText()).isEqualTo("$sandbox.stream.cancel");
    assertThat(cancelled.at("/params/streamId").asInt()).isEqualTo(1);
    assertThat(socket.answer(2).at("/result/ok").asText()).isEqualTo("/still");
  }

  @Test
  void sessionsAreSoManyAtATime() throws Exception {
    restart(Map.of("limits.sessions", "1"));
    assertRefused(401, "{}", "ddo_nobody");
    assertRefused(400, "nonsense", Sdk.BOTH);
    Sdk.Socket socket = sdk.create(Sdk.BOTH, "{}");
    assertRefused(503, "{}", Sdk.BOTH);
    socket.socket().abort();
    eventually(
        () -> {
          try {
            sdk.create(Sdk.BOTH, "{}");
            return true;
          } catch (CompletionException e) {
            return false;
          }
        },
        "a session once more");
  }

  @ParameterizedTest
  @ValueSource(strings = {"1,1", "1,2,3"})
  void streamsAreSoManyAndEachIsStartedOnce(String ids) throws Exception {
    restart(Map.of("limits.streams", "2"));
    Sdk.Socket socket = sdk.create(Sdk.BOTH, "{}");
    for (String id : ids.split(",", -1)) {
      socket.notify("$sandbox.stream.start", "{\"streamId\":%s}".formatted(id));
    }
    assertThat(socket.closeCode()).isEqualTo(4001);
  }

  @Test
  void aStreamIsUsedOnceAndACallsIdIsItsOwn() throws Exception {
    Sdk.Socket socket = sdk.create(Sdk.BOTH, "{}");
    socket.notify("$sandbox.stream.start", "{\"streamId\":1}");
    String spawn =
        "{\"command\":\"cat\",\"stdinStreamId\":1,\"stdout\":\"null\",\"stderr\":\"null\"}";
    socket.call(1, "spawn", spawn);
    int pid = socket.answer(1).at("/result/ok/pid").asInt();
    socket.call(2, "spawn", spawn);
    assertThat(socket.answer(2).at("/error/code").asInt()).isEqualTo(-32602);
    socket.call(3, "processWait", "{\"pid\":" + pid + "}");
    socket.call(3, "readTextFile", "{\"path\":\"/a\"}");
    assertThat(socket.answer(3).at("/error/code").asInt()).isEqualTo(-32000);
    socket.notify("$sandbox.stream.end", "{\"streamId\":1}");
    assertThat(socket.answer(3).at("/result/ok/success").asBoolean()).isTrue();
  }

  @Test
  void aCreateSaysWhatItWants() {
    assertRefused(400, "", Sdk.BOTH);
    assertThat(mesh.created).isEmpty();
  }

  @Test
  void aSandboxThatEndsIsNotFoundAgain() throws Exception {
    sdk.create(Sdk.BOTH, "{\"timeout\":\"10m\"}");
    String list = sdk.send("GET", "/api/v3/sandboxes", Sdk.BOTH, "").body();
    String id = JSON.readTree(list).get(0).path("id").asText();
    for (SandboxState state :
        List.of(SandboxState.SANDBOX_STATE_STOPPING, SandboxState.SANDBOX_STATE_ENDED)) {
      mesh.sandboxes.replaceAll((_, sandbox) -> sandbox.toBuilder().setState(state).build());
      assertThatThrownBy(() -> sdk.connect(Sdk.BOTH, id))
          .cause()
          .isInstanceOfSatisfying(
              WebSocketHandshakeException.class,
              refused -> assertThat(refused.getResponse().statusCode()).isEqualTo(404));
      assertThat(
              sdk.send("POST", "/api/v3/sandbox/" + id + "/expose/http", Sdk.BOTH, "{}")
                  .statusCode())
          .isEqualTo(404);
    }
  }

  /** Of sandboxes that ended while no edge was there. Others' secrets, and young ones, stay. */
  @Test
  void secretsThatWereLeftAreForgottenWithALaterCreate() {
    PutSecretRequest any = PutSecretRequest.getDefaultInstance();
    sdk.create(Sdk.BOTH, "{}");
    String lives = "deno-" + mesh.created.getFirst().getLabelsOrThrow("deno.create") + "-0";
    List<String> staying = List.of(lives, "deno-bbbbbbbbbbbbbbbb-0", "deno-mine", "mine");
    staying.forEach(name -> mesh.secrets.put(name, any));
    mesh.secretTimes.put("deno-bbbbbbbbbbbbbbbb-0", 1L << 40);
    mesh.secrets.put("deno-aaaaaaaaaaaaaaaa-0", any);
    mesh.secrets.put("deno-aaaaaaaaaaaaaaaa-11", any);
    sdk.create(
        Sdk.BOTH, "{\"secrets\":{\"A\":{\"hosts\":[\"a.test\"],\"value\":\"0123456789abcdef\"}}}");
    eventually(
        () -> mesh.secrets.keySet().stream().noneMatch(name -> name.contains("aaaaaaaaaaaaaaaa")),
        "the end of what was left");
    assertThat(mesh.secrets).containsKeys(staying.toArray(String[]::new)).hasSize(5);
  }

  @Test
  void aSandboxThatEndsWithItsSocketIsKeptWhileThatIsOpen() throws Exception {
    restart(Map.of("session.lease", "10s"));
    sdk.create(Sdk.BOTH, "{}");
    assertThat(mesh.created.getFirst().getLifetime().getSeconds()).isEqualTo(10);
    eventually(() -> !mesh.extended.isEmpty(), "a lease that is renewed");
    assertThat(mesh.extended.getFirst().getLifetime().getSeconds()).isEqualTo(10);
    assertThat(mesh.extended.getFirst().getSandbox())
        .isEqualTo(mesh.sandboxes.keySet().iterator().next());
  }
}
