package dev.cofferdam.node.qemu;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Which QEMU there is. A snapshot is read only by the very build that wrote it. */
public final class QemuVersion {
  /** It takes a few ms; this is for a machine under load. */
  private static final Duration PATIENCE = Duration.ofSeconds(30);

  private QemuVersion() {}

  /**
   * The first line of {@code --version}, distribution's revision included.
   *
   * @throws IOException when the program cannot be run, says nothing or does not end
   */
  public static String of(Path binary) throws IOException {
    return of(binary, PATIENCE);
  }

  static String of(Path binary, Duration patience) throws IOException {
    Process process =
        new ProcessBuilder(List.of(binary.toString(), "--version"))
            .redirectErrorStream(true)
            .start();
    try {
      // Waited for before it is read: a read has no end but the program's own. What it says fits
      // the pipe.
      if (!process.waitFor(patience.toNanos(), TimeUnit.NANOSECONDS)) {
        throw new IOException(binary + " --version did not end within " + patience);
      }
      String output =
          new String(process.getInputStream().readNBytes(4096), StandardCharsets.UTF_8).strip();
      if (process.exitValue() != 0 || output.isEmpty()) {
        throw new IOException(
            binary + " --version ended with " + process.exitValue() + ": " + output);
      }
      return output.lines().findFirst().orElse(output);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while asking " + binary + " for its version", e);
    } finally {
      var _ = process.destroyForcibly();
    }
  }
}
