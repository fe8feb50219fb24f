package dev.cofferdam.deploy.demo;

import dev.cofferdam.cli.ClientSettings;
import dev.cofferdam.cli.Connections;
import dev.cofferdam.cli.Context;
import dev.cofferdam.cli.Main;
import dev.cofferdam.cli.Terminal;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.stream.Collectors;

/** Types commands of the real client and shows each, as a person would. */
final class User {
  private final ClientSettings settings;
  private final PrintStream screen;

  User(ClientSettings settings, PrintStream screen) {
    this.settings = settings;
    this.screen = screen;
  }

  /** Types a command and shows it. */
  Answer types(String... words) {
    return pipes("", "", words);
  }

  /**
   * Types a command with something on its standard input.
   *
   * @param shownInput how the input's origin is shown, never the input itself
   */
  Answer pipes(String input, String shownInput, String... words) {
    screen.println("     $ ./cofferdam " + shown(words) + shownInput);
    return quietly(input, words);
  }

  /** A command whose showing would add nothing. */
  Answer quietly(String input, String... words) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    int code =
        Main.commandLine(
                new Context(
                    () -> Connections.overTls(settings),
                    new ByteArrayInputStream(input.getBytes(StandardCharsets.UTF_8)),
                    new PrintStream(out, true, StandardCharsets.UTF_8),
                    new PrintStream(err, true, StandardCharsets.UTF_8),
                    Terminal.none()))
            .execute(words);
    return new Answer(
        code,
        out.toString(StandardCharsets.UTF_8).strip(),
        err.toString(StandardCharsets.UTF_8).strip());
  }

  private static String shown(String... words) {
    return Arrays.stream(words)
        .map(word ->
            word.matches("[A-Za-z0-9_./:=@,+-]+") ? word : "'" + word.replace("'", "'\\''") + "'")
        .collect(Collectors.joining(" "));
  }

  /** What a command left. */
  record Answer(int code, String out, String err) {
    /** Its output, where it ended well. */
    String ok() throws ClaimFailed {
      ClaimFailed.unless(code == 0, "exit code %d: %s %s".formatted(code, out, err));
      return out;
    }

    boolean contains(String text) {
      return out.contains(text) || err.contains(text);
    }
  }
}
