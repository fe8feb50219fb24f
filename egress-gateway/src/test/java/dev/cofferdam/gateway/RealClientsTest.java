package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Programs that people run in sandboxes: curl and Python. */
final class RealClientsTest {
  private static Harness harness;
  private static Path root;

  @BeforeAll
  static void start(@TempDir Path directory) throws Exception {
    harness = new Harness(directory, true);
    root = harness.lineage.writeRoot(directory);
  }

  @AfterAll
  static void stop() throws Exception {
    harness.close();
  }

  private static String run(Path output, String... command) throws Exception {
    Process process =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(output.toFile())
            .start();
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).as("%s ends", command[0]).isTrue();
    return Files.readString(output);
  }

  @AttackRow(43)
  @ParameterizedTest
  @ValueSource(strings = {"--http1.1", "--http2"})
  void curlUsesTheSecretAndNeverSeesIt(String version, @TempDir Path directory) throws Exception {
    String said =
        run(
            directory.resolve("out"),
            "curl",
            "-sS",
            "-i",
            "--max-time",
            "30",
            version,
            "--interface",
            Harness.SLOT,
            "--cacert",
            root.toString(),
            "--resolve",
            "api.example.test:" + harness.port + ":127.0.0.1",
            "-H",
            "Authorization: Bearer " + Harness.PLACEHOLDER,
            "-d",
            "hello",
            "https://api.example.test:" + harness.port + "/echo");

    assertThat(said).contains(" 200").contains("Bearer " + Harness.PLACEHOLDER);
    assertThat(harness.upstream.received.getLast().header("authorization"))
        .isEqualTo("Bearer " + Harness.VALUE);
    assertThat(harness.upstream.received.getLast().body()).isEqualTo("hello");
  }

  @Test
  void curlIsToldWhyItWasRefused(@TempDir Path directory) throws Exception {
    String said =
        run(
            directory.resolve("out"),
            "curl",
            "-sS",
            "-i",
            "--max-time",
            "30",
            "--interface",
            Harness.SLOT,
            "--cacert",
            root.toString(),
            "--resolve",
            "api.example.test:" + harness.port + ":127.0.0.1",
            "-A",
            Harness.PLACEHOLDER,
            "https://api.example.test:" + harness.port + "/");

    assertThat(said)
        .contains(" 403")
        .contains("cofferdam-reason: placeholder_outside_target")
        .contains("\"reason\": \"placeholder_outside_target\"");
  }

  @AttackRow(43)
  @Test
  void pythonUsesTheSecret(@TempDir Path directory) throws Exception {
    String program =
        """
        import http.client, socket, ssl, sys
        port, slot, root, placeholder = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
        raw = socket.create_connection(("127.0.0.1", port), source_address=(slot, 0))
        context = ssl.create_default_context(cafile=root)
        connection = http.client.HTTPSConnection("api.example.test", port)
        connection.sock = context.wrap_socket(raw, server_hostname="api.example.test")
        connection.request("GET", "/echo", headers={"x-api-key": placeholder})
        answer = connection.getresponse()
        print(answer.status, answer.read().decode())
        """;
    String said =
        run(
            directory.resolve("out"),
            List.of(
                    "python3",
                    "-c",
                    program,
                    String.valueOf(harness.port),
                    Harness.SLOT,
                    root.toString(),
                    Harness.PLACEHOLDER)
                .toArray(String[]::new));

    assertThat(said).startsWith("200").contains(Harness.PLACEHOLDER);
    assertThat(harness.upstream.received.getLast().header("x-api-key")).isEqualTo(Harness.VALUE);
  }
}
