package dev.cofferdam.node.sandbox;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.v1.ErrorReason;

/**
 * What the node's guests may have together. Clones share pages and disks are sparse, but a guest
 * may come to write to all that it was promised. Safe for use by several threads.
 */
final class Capacity {
  private final SizeLimits limits;
  private int memoryMib;
  private int diskMib;

  Capacity(SizeLimits limits) {
    this.limits = limits;
  }

  /**
   * @throws Refusal NO_CAPACITY
   */
  synchronized void reserve(MachineSize size) {
    require("memory_mib", size.memoryMib(), memoryMib, limits.memoryMib());
    require("disk_mib", size.diskMib(), diskMib, limits.diskMib());
    adopt(size);
  }

  /** For what runs already, over the limits or not. */
  synchronized void adopt(MachineSize size) {
    memoryMib += size.memoryMib();
    diskMib += size.diskMib();
  }

  synchronized void release(MachineSize size) {
    memoryMib -= size.memoryMib();
    diskMib -= size.diskMib();
  }

  /** It keeps its disk alone. */
  synchronized void sleep(MachineSize size) {
    memoryMib -= size.memoryMib();
  }

  /**
   * It has its disk already.
   *
   * @throws Refusal NO_CAPACITY
   */
  synchronized void wake(MachineSize size) {
    require("memory_mib", size.memoryMib(), memoryMib, limits.memoryMib());
    wakeAnyhow(size);
  }

  /** For one that is removed in its sleep: it goes as others do. */
  synchronized void wakeAnyhow(MachineSize size) {
    memoryMib += size.memoryMib();
  }

  synchronized int freeMemoryMib() {
    return Math.max(limits.memoryMib() - memoryMib, 0);
  }

  private static void require(String what, int wanted, int used, int limit) {
    if (wanted > limit - used) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_NO_CAPACITY,
          "%s is %d, expected at most %d: %d of this node's %d are taken"
              .formatted(what, wanted, Math.max(limit - used, 0), used, limit));
    }
  }
}
