package dev.cofferdam.scheduler.placement;

import dev.cofferdam.scheduler.sandbox.Isolation;
import dev.cofferdam.scheduler.sandbox.SandboxSize;
import java.util.Map;
import java.util.Set;

/**
 * One node at one moment.
 *
 * @param present whether it is connected; one that is not counts only for what is known to exist
 * @param pressure why nothing is to be placed there; empty: all is well
 * @param templates that it can restore at once
 * @param pooled machines restored and waiting, by what they are good for
 * @param limit the largest sandbox that it could hold if it were empty
 * @param slots in all
 * @param freeMemoryMib not reserved; may be below 0 when the node says so
 * @param freeDiskMib not reserved
 * @param freeSlots not reserved
 */
public record NodeView(
    String name,
    boolean present,
    String pressure,
    Isolation isolation,
    Set<String> templates,
    Map<PlacementSpec, Integer> pooled,
    Limit limit,
    int slots,
    long freeMemoryMib,
    long freeDiskMib,
    int freeSlots) {
  /** All at least 0. */
  public record Limit(int vcpus, int memoryMib, int diskMib) {
    public Limit {
      if (vcpus < 0 || memoryMib < 0 || diskMib < 0) {
        throw new IllegalArgumentException(
            "a limit of %d vCPUs, %d MiB, %d MiB; expected at least 0 each"
                .formatted(vcpus, memoryMib, diskMib));
      }
    }

    public boolean holds(SandboxSize size) {
      return size.vcpus() <= vcpus && size.memoryMib() <= memoryMib && size.diskMib() <= diskMib;
    }
  }

  public NodeView {
    templates = Set.copyOf(templates);
    pooled = Map.copyOf(pooled);
  }

  /** vCPUs are shared by time, so only one sandbox's own count is held to the node's. */
  public boolean fits(SandboxSize size) {
    return present
        && pressure.isEmpty()
        && limit.holds(size)
        && freeSlots >= 1
        && size.memoryMib() <= freeMemoryMib
        && size.diskMib() <= freeDiskMib;
  }

  /** Whether a machine of the template and of its size waits there. */
  boolean hasPooled(PlacementSpec spec) {
    return pooled.getOrDefault(spec, 0) > 0;
  }

  /** 0 for an empty node to 1 for a full one, with the sandbox on it. */
  double loadWith(SandboxSize size) {
    double memory = 1 - (double) (freeMemoryMib - size.memoryMib()) / limit.memoryMib();
    double slot = 1 - (double) (freeSlots - 1) / slots;
    return Math.max(memory, slot);
  }
}
