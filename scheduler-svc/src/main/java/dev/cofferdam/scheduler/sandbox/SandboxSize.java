package dev.cofferdam.scheduler.sandbox;

/**
 * What a sandbox gets of its node. The upper limits are the nodes'.
 *
 * @param vcpus at least 1
 * @param memoryMib MiB, at least 128
 * @param diskMib MiB of writable disk, at least 64
 */
public record SandboxSize(int vcpus, int memoryMib, int diskMib) {
  public static final int MIN_VCPUS = 1;
  public static final int MIN_MEMORY_MIB = 128;
  public static final int MIN_DISK_MIB = 64;

  public SandboxSize {
    atLeast("vcpus", vcpus, MIN_VCPUS);
    atLeast("memoryMib", memoryMib, MIN_MEMORY_MIB);
    atLeast("diskMib", diskMib, MIN_DISK_MIB);
  }

  private static void atLeast(String name, int value, int min) {
    if (value < min) {
      throw new IllegalArgumentException(name + " is " + value + ", expected at least " + min);
    }
  }
}
