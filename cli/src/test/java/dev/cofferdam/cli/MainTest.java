package dev.cofferdam.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** The repository's one command hands over what the client knows. */
final class MainTest {
  private final FakeMesh mesh = new FakeMesh();

  private Set<String> commands() {
    PrintStream nowhere = new PrintStream(OutputStream.nullOutputStream());
    return Main.commandLine(
            new Context(
                () -> mesh, InputStream.nullInputStream(), nowhere, nowhere, new FakeTerminal()))
        .getSubcommands()
        .keySet();
  }

  @Test
  void everyCommandIsHandedOverAndListed() throws Exception {
    String script = Files.readString(Path.of("..", "cofferdam"));
    String before = script.substring(0, script.indexOf(")\n    run_java cli "));
    List<String> handed =
        List.of(before.substring(before.lastIndexOf('\n') + 1).strip().split(" \\| "));
    assertThat(handed).containsExactlyInAnyOrderElementsOf(commands());
    assertThat(commands())
        .allSatisfy(
            command -> assertThat(script).containsPattern("\n  (?:[a-z]+\\|)*" + command + "[ |]"));
    mesh.shutDown();
  }
}
