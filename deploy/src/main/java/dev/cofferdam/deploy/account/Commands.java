package dev.cofferdam.deploy.account;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.stream.Stream;

/** Short commands of the system, without a shell. */
public final class Commands {
  private Commands() {}

  /**
   * Runs a command to its end.
   *
   * @return what it printed on either stream
   * @throws IOException with that text, when it did not exit with 0
   */
  public static String run(List<String> command) throws IOException {
    Result result = attempt(command);
    if (result.status() != 0) {
      throw new IOException(
          "%s failed with %d: %s"
              .formatted(String.join(" ", command), result.status(), result.output().strip()));
    }
    return result.output();
  }

  public static boolean succeeds(List<String> command) throws IOException {
    return attempt(command).status() == 0;
  }

  private static Result attempt(List<String> command) throws IOException {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    try {
      process.getOutputStream().close();
      String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      return new Result(process.waitFor(), output);
    } catch (InterruptedException e) {
      process.destroyForcibly();
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while running " + command.getFirst(), e);
    }
  }

  static List<String> join(List<String> first, List<String> second) {
    return Stream.concat(first.stream(), second.stream()).toList();
  }

  private record Result(int status, String output) {}
}
