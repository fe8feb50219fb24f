package dev.cofferdam.node.machine;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import org.junit.jupiter.api.Assumptions;

/** A file system of its own, of 4 KiB. */
public final class Small {
  private Small() {}

  /**
   * Mounts it, which root alone may: others skip the test.
   *
   * @param at an empty directory
   */
  public static Path directory(Path at) throws IOException {
    Assumptions.assumeTrue(
        run("mount", "-t", "tmpfs", "-o", "size=4k", "small", at.toString()) == 0, "mount failed");
    Files.setPosixFilePermissions(at, PosixFilePermissions.fromString("rwxrwxrwx"));
    return at;
  }

  public static void unmount(Path at) {
    try {
      // Mounted or not.
      var _ = run("umount", at.toString());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static int run(String... command) throws IOException {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    try (var output = process.getInputStream()) {
      var _ = output.readAllBytes();
      return process.waitFor();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException(e);
    }
  }
}
