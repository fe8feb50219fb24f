package dev.cofferdam.node.sandbox;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.v1.ErrorReason;

/**
 * The most that this node gives.
 *
 * @param vcpus to one sandbox
 * @param memoryMib to all sandboxes together
 * @param diskMib to all sandboxes together
 */
public record SizeLimits(int vcpus, int memoryMib, int diskMib) {
  /**
   * @throws Refusal SIZE_OUT_OF_RANGE
   */
  public void require(MachineSize size) {
    require("vcpus", size.vcpus(), vcpus);
    require("memory_mib", size.memoryMib(), memoryMib);
    require("disk_mib", size.diskMib(), diskMib);
  }

  private static void require(String what, int value, int limit) {
    if (value > limit) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_SIZE_OUT_OF_RANGE,
          "%s is %d, expected at most %d on this node".formatted(what, value, limit));
    }
  }
}
