package dev.cofferdam.node.machine;

/**
 * How large a virtual machine is.
 *
 * @param vcpus virtual processors, 1 to 64
 * @param memoryMib memory in MiB, 128 to 1,048,576
 * @param diskMib writable disk in MiB, 64 to 16,777,216; sparse on the host
 */
public record MachineSize(int vcpus, int memoryMib, int diskMib) {
  public MachineSize {
    require("vcpus", vcpus, 1, 64);
    require("memory_mib", memoryMib, 128, 1 << 20);
    require("disk_mib", diskMib, 64, 1 << 24);
  }

  /** Whether a snapshot of that size can become this one: a disk grows, the rest is fixed. */
  public boolean restoresFrom(MachineSize snapshot) {
    return vcpus == snapshot.vcpus
        && memoryMib == snapshot.memoryMib
        && diskMib >= snapshot.diskMib;
  }

  private static void require(String what, int value, int min, int max) {
    if (value < min || value > max) {
      throw new IllegalArgumentException(
          "%s is %d, expected %d to %d".formatted(what, value, min, max));
    }
  }
}
