package dev.cofferdam.node.disk;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** A program of this machine that does one thing to a file, says little and ends. */
final class HostCommand {
  private HostCommand() {}

  /**
   * @param command the program and its arguments; no shell is in between
   * @throws IOException when it does not end with 0 in time, with what it said
   */
  static void run(List<String> command, Duration patience) throws IOException {
    String program = command.getFirst();
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    try {
      // Waited for before it is read: a read has no end but the program's own. What it says fits
      // the pipe.
      if (!process.waitFor(patience.toNanos(), TimeUnit.NANOSECONDS)) {
        throw new IOException(program + " did not end within " + patience);
      }
      if (process.exitValue() != 0) {
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        throw new IOException(
            "%s ended with %d: %s".formatted(program, process.exitValue(), output.strip()));
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while " + program + " ran", e);
    } finally {
      var _ = process.destroyForcibly();
    }
  }
}
