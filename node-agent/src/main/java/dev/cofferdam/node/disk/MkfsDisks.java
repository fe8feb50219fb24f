package dev.cofferdam.node.disk;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * Disks by {@code mkfs.ext4}, laid out as those of the images are: no reserved blocks, tables
 * written when needed.
 */
public final class MkfsDisks implements Disks {
  private static final long PATIENCE_SECONDS = 30;

  @Override
  public void format(Path file, int sizeMib) throws IOException {
    SparseFile.create(file, (long) sizeMib << 20).close();
    Process process =
        new ProcessBuilder(
                List.of(
                    "/sbin/mkfs.ext4",
                    "-q",
                    "-F",
                    "-m",
                    "0",
                    "-E",
                    "lazy_itable_init=1,lazy_journal_init=1,nodiscard",
                    file.toString()))
            .redirectErrorStream(true)
            .start();
    try {
      String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      if (!process.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
        process.destroyForcibly();
        throw new IOException("mkfs.ext4 did not end within " + PATIENCE_SECONDS + " s");
      }
      if (process.exitValue() != 0) {
        throw new IOException(
            "mkfs.ext4 ended with " + process.exitValue() + ": " + output.strip());
      }
    } catch (InterruptedException e) {
      process.destroyForcibly();
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while a disk was formatted", e);
    }
  }
}
