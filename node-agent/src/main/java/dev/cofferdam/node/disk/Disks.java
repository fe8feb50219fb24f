package dev.cofferdam.node.disk;

import java.io.IOException;
import java.nio.file.Path;

/** Formats disks of sizes that no image brings along. */
public interface Disks {
  /**
   * Makes a sparse, empty ext4 file system.
   *
   * @param file is made
   */
  void format(Path file, int sizeMib) throws IOException;
}
