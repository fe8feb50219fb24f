package dev.cofferdam.node.disk;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * Disks by {@code mkfs.ext4}, laid out as those of the images are (deploy/image/build.sh): no
 * reserved blocks, and no journal, for the disk lives and dies with its VM's memory.
 */
public final class MkfsDisks implements Disks {
  private final Path program;
  private final Duration patience;

  public MkfsDisks() {
    this(Path.of("/sbin/mkfs.ext4"), Duration.ofSeconds(30));
  }

  MkfsDisks(Path program, Duration patience) {
    this.program = program;
    this.patience = patience;
  }

  @Override
  public void format(Path file, int sizeMib) throws IOException {
    SparseFile.create(file, (long) sizeMib << 20).close();
    Process process =
        new ProcessBuilder(
                List.of(
                    program.toString(),
                    "-q",
                    "-F",
                    "-m",
                    "0",
                    "-O",
                    "^has_journal",
                    "-E",
                    // Its tables are zero already: a sparse file reads so.
                    "assume_storage_prezeroed=1,nodiscard,root_owner=0:0",
                    "-L",
                    "sandbox",
                    file.toString()))
            .redirectErrorStream(true)
            .start();
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
      throw new IOException("interrupted while a disk was formatted", e);
    } finally {
      var _ = process.destroyForcibly();
    }
  }
}
