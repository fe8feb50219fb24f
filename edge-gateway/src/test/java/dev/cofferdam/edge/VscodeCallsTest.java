package dev.cofferdam.edge;

import static dev.cofferdam.edge.Eventually.eventually;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.cofferdam.v1.ProcessSpec;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** {@code vscode} over a socket, before a mesh that is made up. */
final class VscodeCallsTest {
  private static final int SCRIPT = 2;
  private static final int PORT = 5;

  private final FakeMesh mesh = new FakeMesh();
  private final EdgeApp app;
  private final Sdk sdk;
  private final Sdk.Socket socket;

  VscodeCallsTest() throws Exception {
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

  private ProcessSpec started() {
    return mesh.started.getLast();
  }

  @Test
  void theTemplatesCodeServerIsRunAndWaitedFor() throws Exception {
    socket.call(
        100,
        "vscode",
        "{\"path\":\"/home/app/\",\"extensions\":[\"a.b\",\"/c.vsix\"],"
            + "\"env\":{\"X\":\"y\",\"DENO_DEPLOY_SANDBOX_TOKEN\":\""
            + Sdk.BOTH
            + "\"},\"disableStopButton\":true,\"preview\":null,"
            + "\"editorSettings\":{\"editor.fontSize\":20}}");
    eventually(() -> mesh.ports.opened.size() > 1, "a port that is tried again");
    assertThat(socket.silent()).isTrue();
    List<String> argv = started().getArgvList();
    int port = Integer.parseInt(argv.get(PORT));
    assertThat(port).isBetween(20_000, 29_999);
    assertThat(argv)
        .containsExactly(
            "/bin/sh",
            "-c",
            argv.get(SCRIPT),
            "/usr/local/bin/code-server",
            "{\"editor.fontSize\":20}",
            Integer.toString(port),
            "/home/app",
            "a.b",
            "/c.vsix");
    assertThat(started().getEnvMap()).as("no token goes in").isEqualTo(Map.of("X", "y"));
    assertThat(started().getWorkingDirectory()).isEqualTo("/home/app");
    JsonNode answer;
    try (FakeRepl _ = new FakeRepl(port)) {
      answer = socket.answer(100).at("/result/ok");
    }
    assertThat(answer.path("port").asInt()).isEqualTo(port);
    assertThat(answer.path("stdoutStreamId").isIntegralNumber()).isTrue();
    assertThat(answer.path("stderrStreamId").isIntegralNumber()).isTrue();
    String target = "{\"pid\":%d,\"vscode\":true}".formatted(answer.path("pid").asInt());
    assertThat(socket.ask("processKill", target).at("/result").has("ok")).isTrue();
    assertThat(mesh.signals).singleElement().matches(signal -> signal.getSignal() == 15);
  }

  /** Of the guest's sh, with a code-server that says what it was given. */
  @Test
  void theScriptLetsNothingElseDecide() throws Exception {
    socket.call(100, "vscode", "{\"path\":\"/home/app\",\"extensions\":[\"--x\"]}");
    eventually(() -> !mesh.started.isEmpty(), "a process");
    Process sh =
        new ProcessBuilder(
                "/bin/sh", "-c", started().getArgv(SCRIPT), "echo", "", "20001", "/a b", "--x")
            .redirectErrorStream(true)
            .start();
    assertThat(
            new String(sh.getInputStream().readAllBytes(), java.nio.charset.StandardCharsets.UTF_8))
        .isEqualTo(
            """
            --config=/dev/null --install-extension=--x
            --config=/dev/null --auth=none --host=127.0.0.1 --port=20001 --disable-telemetry --disable-update-check /a b
            """);
    assertThat(sh.waitFor()).isZero();
  }

  @Test
  void oneThatEndsBeforeItListens() throws Exception {
    JsonNode error =
        socket
            .ask("vscode", "{\"path\":\"/home/app\",\"extensions\":[\"exit-now\"]}")
            .at("/result/error");
    assertThat(error.path("code").asText()).isEqualTo("ERR_VSCODE");
  }

  @Test
  void aTemplateWithoutOneIsToldWhatItLacks() throws Exception {
    mesh.files.withoutVscode = true;
    JsonNode error =
        socket.ask("vscode", "{\"path\":\"/home/app\",\"extensions\":[]}").at("/result/error");
    assertThat(error.path("constructorName").asText()).isEqualTo("NotSupported");
    assertThat(error.path("message").asText())
        .contains("template has no code-server", "/usr/local/bin/code-server");
    assertThat(mesh.started).isEmpty();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{\"path\":\"/etc/passwd\"}                               | /result/error/code | ENOTDIR",
        "{\"path\":\"/missing\"}                                  | /result/error/code | ENOENT",
        "{\"path\":\"/home/app\",\"preview\":\"http://a.test/\"}  | /result/error/code |"
            + " NOT_SERVED",
        "{}                                                       | /error/code        | -32602",
        "{\"path\":\"/home/app\",\"extensions\":\"a\"}            | /error/code        | -32602",
        "{\"path\":\"/home/app\",\"env\":{\"A\":1}}               | /error/code        | -32602",
        "{\"path\":\"/home/app\",\"editorSettings\":[]}           | /error/code        | -32602",
        "{\"path\":\"/home/app\",\"disableStopButton\":\"x\"}     | /error/code        | -32602"
      })
  void whatCannotBeOpenedIsRefused(String params, String where, String code) throws Exception {
    assertThat(socket.ask("vscode", params).at(where).asText()).isEqualTo(code);
    assertThat(mesh.started).isEmpty();
  }
}
