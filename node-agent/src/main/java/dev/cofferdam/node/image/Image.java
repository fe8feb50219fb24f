package dev.cofferdam.node.image;

import java.nio.file.Path;
import java.util.List;

/**
 * A guest image on disk: a kernel, an initrd with the agent, a read-only root and an empty,
 * formatted disk.
 *
 * @param digest the name of its directory
 * @param kernelArguments the kernel's command line
 * @param warmUp commands to run once before a snapshot
 * @param diskMib size of {@code disk.ext4}
 */
public record Image(
    String digest, Path directory, String kernelArguments, List<String> warmUp, int diskMib) {
  public Image {
    warmUp = List.copyOf(warmUp);
  }

  /** The empty, formatted disk. */
  public Path disk() {
    return directory.resolve("disk.ext4");
  }
}
