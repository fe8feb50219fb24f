package dev.cofferdam.node.disk;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;

/**
 * Copies by cp(1) of GNU coreutils: it asks the file system to share the blocks (FICLONE) and,
 * where that is refused, copies what is not a hole.
 */
public final class CpCopier {
  private static final Path PROGRAM = Path.of("/bin/cp");

  /** Whoever waits for the copy, a sandbox that stands still among them, waits no longer. */
  private static final Duration PATIENCE = Duration.ofMinutes(5);

  /**
   * @param target is made, readable and writable by owner and group
   */
  public void copy(Path source, Path target) throws IOException {
    run("auto", source, target);
    Files.setPosixFilePermissions(target, PosixFilePermissions.fromString("rw-rw----"));
  }

  /** Whether files of a directory can share blocks, found out by doing it. */
  public boolean sharesBlocks(Path directory) throws IOException {
    Path one = Files.createTempFile(directory, ".reflink-", ".probe");
    Path other = one.resolveSibling(one.getFileName() + ".copy");
    try {
      Files.write(one, new byte[1 << 16]);
      try {
        run("always", one, other);
        return true;
      } catch (IOException e) {
        return false;
      }
    } finally {
      Files.deleteIfExists(one);
      Files.deleteIfExists(other);
    }
  }

  private static void run(String reflink, Path source, Path target) throws IOException {
    HostCommand.run(
        List.of(
            PROGRAM.toString(),
            "--reflink=" + reflink,
            "--sparse=auto",
            "--no-target-directory",
            "--",
            source.toString(),
            target.toString()),
        PATIENCE);
  }
}
