package dev.cofferdam.edge;

import static dev.cofferdam.edge.Eventually.eventually;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.cofferdam.v1.ProcessSpec;
import dev.cofferdam.v1.RemoveFileRequest;
import dev.cofferdam.v1.WriteFileTarget;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The calls on the Deno runtime over a socket, before a mesh that is made up. */
final class DenoCallsTest {
  private static final String QUIET = "\"stdout\":\"null\",\"stderr\":\"null\"";

  private final FakeMesh mesh;
  private EdgeApp app;
  private Sdk sdk;
  private Sdk.Socket socket;

  DenoCallsTest() throws Exception {
    mesh = new FakeMesh();
    app = TestEdge.start(mesh, Map.of());
    sdk = new Sdk(app.port());
    socket = sdk.create(Sdk.BOTH, "{}");
  }

  @AfterEach
  void close() {
    sdk.close();
    app.close();
    mesh.close();
  }

  private int pid(JsonNode spawned) {
    return spawned.path("pid").asInt();
  }

  private ProcessSpec started() {
    return mesh.started.getLast();
  }

  @Test
  void codeIsAScriptThatServesAtAPortOfItsOwn() throws Exception {
    JsonNode spawned =
        socket.ok(
            "spawnDeno",
            "{\"code\":\"1\",\"extension\":\"mts\",\"scriptArgs\":[\"-a\"],\"env\":{\"X\":\"y\"},"
                + "\"cwd\":\"/srv\",\"watch\":null,"
                + QUIET
                + "}");
    assertThat(spawned.has("watcherId") && spawned.path("watcherId").isNull()).isTrue();
    String script = started().getArgv(3);
    assertThat(script).endsWith(".mts");
    assertThat(mesh.files.asked)
        .filteredOn(WriteFileTarget.class::isInstance)
        .singleElement()
        .satisfies(written ->
            assertThat(((WriteFileTarget) written).getMode()).as("nobody else's").isEqualTo(0600));
    assertThat(started().getArgvList())
        .containsExactly("/usr/local/bin/deno", "run", "--allow-all", script, "-a");
    assertThat(started().getWorkingDirectory()).isEqualTo("/srv");
    assertThat(started().getEnvMap()).containsEntry("X", "y");
    String address = started().getEnvOrDefault("DENO_SERVE_ADDRESS", "");
    assertThat(address).matches("duplicate,tcp:127.0.0.1:2[0-9]{4}");
    int port = port(address);

    String fetch = "{\"url\":\"https://any.test:8443/early\",\"method\":\"GET\",\"pid\":%d}";
    socket.ok("fetch", fetch.formatted(pid(spawned)));
    assertThat(started().getArgvList())
        .containsSequence("--noproxy", "*", "--connect-to", "::127.0.0.1:" + port)
        .endsWith("--url", "http://any.test:8443/early");
    JsonNode none = socket.ask("fetch", fetch.formatted(7)).at("/result/error");
    assertThat(none.path("code").asText()).isEqualTo("ENOENT");
    socket.ok("spawnDeno", "{\"code\":\"1\"," + QUIET + "}");
    assertThat(started().getEnvOrDefault("DENO_SERVE_ADDRESS", "")).isNotEqualTo(address);
  }

  private static int port(String address) {
    return Integer.parseInt(address.substring(address.lastIndexOf(':') + 1));
  }

  @Test
  void anEntrypointIsNoOption() throws Exception {
    socket.ok("spawnDeno", "{\"entrypoint\":\"--version\"," + QUIET + "}");
    assertThat(started().getArgvList()).endsWith("--allow-all", "./--version");
    assertThat(mesh.files.asked)
        .as("nothing is written")
        .noneMatch(WriteFileTarget.class::isInstance);
  }

  @Test
  void httpIsWaitedForUntilItIsThere() throws Exception {
    int pid = pid(socket.ok("spawnDeno", "{\"code\":\"1\"," + QUIET + "}"));
    socket.call(100, "denoHttpWait", "{\"pid\":%d}".formatted(pid));
    eventually(() -> mesh.ports.opened.size() > 1, "a port that is tried again");
    assertThat(socket.silent()).isTrue();
    String address = started().getEnvOrDefault("DENO_SERVE_ADDRESS", "");
    try (FakeRepl _ = new FakeRepl(port(address))) {
      assertThat(socket.answer(100).at("/result/ok").asBoolean()).isTrue();
    }
  }

  /** Its script is the user's own. */
  @Test
  void anEntrypointOutlivesItsProcess() throws Exception {
    for (String what : List.of("\"entrypoint\":\"/srv/main.ts\"", "\"code\":\"1\"")) {
      int pid =
          pid(
              socket.ok(
                  "spawnDeno", "{%s,\"scriptArgs\":[\"exit-now\"],%s}".formatted(what, QUIET)));
      socket.ok("processWait", "{\"pid\":%d}".formatted(pid));
    }
    eventually(() -> !removed().isEmpty(), "the end of the script that is the edge's");
    assertThat(removed()).containsExactly(started().getArgv(3));
  }

  private List<String> removed() {
    return mesh.files.asked.stream()
        .filter(RemoveFileRequest.class::isInstance)
        .map(request -> ((RemoveFileRequest) request).getPath())
        .toList();
  }

  @Test
  void aProcessThatEndsNeverServesAndLeavesNoScript() throws Exception {
    int pid =
        pid(socket.ok("spawnDeno", "{\"code\":\"1\",\"scriptArgs\":[\"exit-now\"]," + QUIET + "}"));
    String script = started().getArgv(3);
    assertThat(socket.ok("denoHttpWait", "{\"pid\":%d}".formatted(pid)).asBoolean()).isFalse();
    assertThat(socket.ok("processWait", "{\"pid\":%d}".formatted(pid)).path("success").asBoolean())
        .isTrue();
    assertThat(socket.ok("denoHttpWait", "{\"pid\":%d}".formatted(pid)).asBoolean()).isFalse();
    eventually(() -> removed().contains(script), "the script's end");
  }

  @Test
  void aReplAnswersOneByOneUntilItIsClosed() throws Exception {
    int pid = pid(socket.ok("spawnDenoRepl", "{" + QUIET + "}"));
    assertThat(started().getEnvMap()).containsKey("DENO_REPL_PORT");
    socket.call(200, "denoReplEval", "{\"pid\":%d,\"code\":\"1 + 1\"}".formatted(pid));
    eventually(() -> mesh.ports.opened.size() > 1, "a port that is tried again");
    try (FakeRepl _ = new FakeRepl(port(started().getEnvOrDefault("DENO_REPL_PORT", "")))) {
      assertThat(socket.answer(200).at("/result/ok").toString()).isEqualTo("{\"code\":\"1 + 1\"}");
      assertThat(
              socket
                  .ok(
                      "denoReplCall",
                      "{\"pid\":%d,\"fn\":\"f\",\"args\":[1,{\"a\":null}]}".formatted(pid))
                  .toString())
          .isEqualTo("{\"fn\":\"f\",\"args\":[1,{\"a\":null}]}");
      JsonNode thrown =
          socket
              .ask("denoReplEval", "{\"pid\":%d,\"code\":\"throw\"}".formatted(pid))
              .at("/result/error");
      assertThat(thrown.path("constructorName").asText()).isEqualTo("RangeError");
      assertThat(thrown.path("message").asText()).isEqualTo("no");
      JsonNode odd =
          socket
              .ask("denoReplEval", "{\"pid\":%d,\"code\":\"odd\"}".formatted(pid))
              .at("/result/error");
      assertThat(odd.path("constructorName").asText()).as("no name").isEqualTo("Error");
      for (int i = 300; i < 340; i++) {
        socket.call(i, "denoReplEval", "{\"pid\":%d,\"code\":\"%d\"}".formatted(pid, i));
      }
      for (int i = 0; i < 40; i++) {
        JsonNode answer = socket.next();
        assertThat(answer.at("/result/ok/code").asInt()).isEqualTo(answer.path("id").asInt());
      }
    }
    socket.ok("denoReplClose", "{\"pid\":%d}".formatted(pid));
    assertThat(mesh.signals).anyMatch(signal -> signal.getSignal() == 15);
    JsonNode gone =
        socket
            .ask("denoReplEval", "{\"pid\":%d,\"code\":\"1\"}".formatted(pid))
            .at("/result/error");
    assertThat(gone.path("code").asText()).isEqualTo("ENOENT");
  }

  /** What it answers later must not be taken for the answer of another question. */
  @ParameterizedTest
  @CsvSource({"end,ENOENT", "garbage,ERR_REPL", "flood,ERR_OUT_OF_RANGE"})
  void aReplThatBreaksOff(String code, String error) throws Exception {
    int pid = pid(socket.ok("spawnDenoRepl", "{" + QUIET + "}"));
    try (FakeRepl _ = new FakeRepl(port(started().getEnvOrDefault("DENO_REPL_PORT", "")))) {
      JsonNode broken =
          socket.ask("denoReplEval", "{\"pid\":%d,\"code\":\"%s\"}".formatted(pid, code));
      assertThat(broken.at("/result/error/code").asText()).isEqualTo(error);
      JsonNode next = socket.ask("denoReplEval", "{\"pid\":%d,\"code\":\"1\"}".formatted(pid));
      if (code.equals("garbage")) {
        assertThat(next.at("/result/ok/code").asText()).isEqualTo("1");
      } else {
        assertThat(next.at("/result/error/code").asText()).isEqualTo("ENOENT");
      }
    }
  }

  @Test
  void aReplWhoseQuestionWasAbortedIsGone() throws Exception {
    int pid = pid(socket.ok("spawnDenoRepl", "{" + QUIET + "}"));
    try (FakeRepl repl = new FakeRepl(port(started().getEnvOrDefault("DENO_REPL_PORT", "")))) {
      int question =
          socket.call(
              "denoReplEval", "{\"pid\":%d,\"code\":\"silent\",\"abortId\":7}".formatted(pid));
      eventually(() -> !repl.asked.isEmpty(), "the question");
      var _ = socket.call("abort", "{\"abortId\":7}");
      assertThat(socket.answer(question).at("/result/error/name").asText()).isEqualTo("AbortError");
      JsonNode next = socket.ask("denoReplEval", "{\"pid\":%d,\"code\":\"1\"}".formatted(pid));
      assertThat(next.at("/result/error/code").asText()).isEqualTo("ENOENT");
      assertThat(repl.asked).hasSize(1);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{\"code\":\"1\",\"extension\":\"../x\"} | -32602",
        "{\"stdout\":\"null\"}                   | -32602",
      })
  void whatCannotBeRunIsRefused(String params, int code) throws Exception {
    assertThat(socket.ask("spawnDeno", params).at("/error/code").asInt()).isEqualTo(code);
    assertThat(mesh.started).isEmpty();
    assertThat(
            socket
                .ask("spawnDeno", "{\"entrypoint\":\"a\",\"watch\":[\"b\"]}")
                .at("/result/error/code")
                .asText())
        .isEqualTo("NOT_SERVED");
  }

  @Test
  void aSandboxWithoutADenoGetsTheEdges(@TempDir Path directory) throws Exception {
    mesh.files.withoutDeno = true;
    JsonNode none = socket.ask("spawnDeno", "{\"code\":\"1\"," + QUIET + "}").at("/result/error");
    assertThat(none.path("constructorName").asText()).isEqualTo("NotSupported");
    assertThat(none.path("message").asText()).contains("template has no Deno");
    restartWithDeno(directory);
    socket.ok("spawnDeno", "{\"code\":\"1\"," + QUIET + "}");
    socket.ok("spawnDeno", "{\"code\":\"1\"," + QUIET + "}");
    assertThat(
            mesh.files.asked.stream()
                .filter(WriteFileTarget.class::isInstance)
                .map(WriteFileTarget.class::cast)
                .filter(written -> written.getPath().equals("/usr/local/bin/deno")))
        .as("once")
        .singleElement()
        .satisfies(written -> assertThat(written.getMode()).isEqualTo(0755));
  }

  private void restartWithDeno(Path directory) throws Exception {
    sdk.close();
    app.close();
    Path program = Files.writeString(directory.resolve("deno"), "x".repeat(100_000));
    app = TestEdge.start(mesh, Map.of("deno.program", program.toString()));
    sdk = new Sdk(app.port());
    socket = sdk.create(Sdk.BOTH, "{}");
  }
}
