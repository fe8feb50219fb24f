package dev.cofferdam.node.machine;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The machine wanted.
 *
 * @param sandbox whose it is; its directory holds the disk {@value #DISK} already, of the size
 *     given, unless a volume is the disk
 * @param slot its place in the network, which is made already
 * @param image digest of the image it runs
 * @param kernelArguments the guest kernel's command line
 * @param volumes of this node, at most 8: further disks, which the guest tells apart by their
 *     number. A template is made without any, and its clones may have some
 * @param diskVolume the volume of this node that is its writable disk; empty: it has its own
 */
public record MachineSpec(
    String sandbox,
    int slot,
    String image,
    MachineSize size,
    String kernelArguments,
    List<String> volumes,
    Optional<String> diskVolume) {
  /** Name of the writable disk in a sandbox's directory. */
  public static final String DISK = "disk.ext4";

  /** Name of the memory's file of a template or snapshot. */
  public static final String RAM = "ram";

  /** Name of the devices' state of a template or snapshot. */
  public static final String STATE = "state";

  /** Of the kernel's command line. */
  public static final String SQUASHFS = "rootfstype=squashfs";

  public MachineSpec {
    if (slot < 1) {
      throw new IllegalArgumentException("slot is " + slot + ", expected at least 1");
    }
    volumes = List.copyOf(volumes);
  }

  /** Name of the root's file in the image's directory. */
  public String root() {
    return root(kernelArguments);
  }

  /**
   * The kernel's command line names the file system of what was made of an OCI image's layers; the
   * built-in image's does not.
   */
  public static String root(String kernelArguments) {
    return List.of(kernelArguments.split(" ", -1)).contains(SQUASHFS)
        ? "rootfs.squashfs"
        : "rootfs.erofs";
  }

  /** The writable disk, as the jail shows it. */
  public String diskPath() {
    return diskVolume.isPresent() ? "/volume/" + volumes.size() : "/sandbox/" + DISK;
  }

  /**
   * All volumes by their number in the jail: the disk's comes last, so that it changes no other's.
   */
  public List<String> jailed() {
    List<String> all = new ArrayList<>(volumes);
    diskVolume.ifPresent(all::add);
    return all;
  }

  /** Without volumes. */
  public MachineSpec(
      String sandbox, int slot, String image, MachineSize size, String kernelArguments) {
    this(sandbox, slot, image, size, kernelArguments, List.of(), Optional.empty());
  }
}
