package dev.cofferdam.node.template;

import dev.cofferdam.node.disk.Extent;
import dev.cofferdam.node.image.Image;
import dev.cofferdam.node.machine.MachineSize;
import java.nio.file.Path;
import java.util.List;

/**
 * A machine that was booted once and kept.
 *
 * @param name of its directory: the digest of all that it depends on, and which making of it this
 *     is
 * @param size the only size that it restores to
 * @param diskExtents what of its disk is not zero
 */
public record Template(
    String name, Path directory, Image image, MachineSize size, List<Extent> diskExtents) {
  public Template {
    diskExtents = List.copyOf(diskExtents);
  }

  /** The disk as it was at the snapshot: the guest's memory knows parts of it. */
  public Path disk() {
    return directory.resolve("disk.ext4");
  }
}
