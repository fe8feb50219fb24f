package dev.cofferdam.node.disk;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
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
    run(new ProcessBuilder(command).redirectErrorStream(true), patience);
  }

  /** As above; what it prints goes to a file, and only its complaints into the exception. */
  static void run(List<String> command, Duration patience, Path output) throws IOException {
    run(new ProcessBuilder(command).redirectOutput(output.toFile()), patience);
  }

  private static void run(ProcessBuilder builder, Duration patience) throws IOException {
    String program = builder.command().getFirst();
    Process process = builder.start();
    try {
      // Waited for before it is read: a read has no end but the program's own. What it says fits
      // the pipe.
      if (!process.waitFor(patience.toNanos(), TimeUnit.NANOSECONDS)) {
        throw new IOException(program + " did not end within " + patience);
      }
      if (process.exitValue() != 0) {
        InputStream said =
            builder.redirectErrorStream() ? process.getInputStream() : process.getErrorStream();
        String output = new String(said.readNBytes(4096), StandardCharsets.UTF_8);
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
