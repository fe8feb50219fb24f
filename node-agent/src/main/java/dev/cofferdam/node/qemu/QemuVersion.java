package dev.cofferdam.node.qemu;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;

/** Which QEMU there is. A snapshot is read only by the very build that wrote it. */
public final class QemuVersion {
  private QemuVersion() {}

  /**
   * The first line of {@code --version}, distribution's revision included.
   *
   * @throws IOException when the program cannot be run or says nothing
   */
  public static String of(Path binary) throws IOException {
    Process process =
        new ProcessBuilder(List.of(binary.toString(), "--version"))
            .redirectErrorStream(true)
            .start();
    String output =
        new String(process.getInputStream().readNBytes(4096), StandardCharsets.UTF_8).strip();
    try {
      if (process.waitFor() != 0 || output.isEmpty()) {
        throw new IOException(
            binary + " --version ended with " + process.exitValue() + ": " + output);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while asking " + binary + " for its version", e);
    }
    return output.lines().findFirst().orElse(output);
  }
}
