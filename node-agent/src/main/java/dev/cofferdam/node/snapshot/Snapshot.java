package dev.cofferdam.node.snapshot;

import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.node.machine.MachineSpec;
import java.nio.file.Path;

/**
 * A sandbox as it was at one moment.
 *
 * @param id the name of its directory
 * @param sandbox that it is of
 * @param full with memory and devices; else its disk alone
 * @param size of the sandbox
 * @param image digest of the sandbox's
 * @param kernelArguments the kernel's command line
 * @param fingerprint of the hypervisor and the machine: memory and devices outlive neither
 * @param token that its guest was stopped with
 * @param bytes on disk, without holes
 */
public record Snapshot(
    String id,
    Path directory,
    String sandbox,
    boolean full,
    MachineSize size,
    String image,
    String kernelArguments,
    String fingerprint,
    String token,
    long bytes) {
  public Path disk() {
    return directory.resolve(MachineSpec.DISK);
  }

  /** Its token belongs in no log. */
  @Override
  public String toString() {
    return "Snapshot[%s of %s]".formatted(id, sandbox);
  }
}
