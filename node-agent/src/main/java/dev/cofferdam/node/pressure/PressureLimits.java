package dev.cofferdam.node.pressure;

import dev.cofferdam.kit.config.Settings;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * What the host keeps: a start that finds less is refused, and what runs is left alone.
 *
 * @param memoryMib {@code pressure.memory-mib}, default 512, 0 to 1,048,576
 * @param memoryStallPercent {@code pressure.memory-stall-percent}, default 40, 1 to 100: more than
 *     that is too much; 100 never is
 * @param diskMib {@code pressure.disk-mib}, default 1024, 0 to 16,777,216
 * @param pids {@code pressure.pids}, default 1024, 0 to 4,194,304; a VMM has up to 96 threads and
 *     one for each of its vCPUs
 * @param descriptors {@code pressure.descriptors}, default 256, 0 to 1,048,576
 */
public record PressureLimits(
    int memoryMib, int memoryStallPercent, int diskMib, int pids, int descriptors) {

  public static PressureLimits read(Settings settings) {
    return new PressureLimits(
        settings.integer("pressure.memory-mib", 512, 0, 1 << 20),
        settings.integer("pressure.memory-stall-percent", 40, 1, 100),
        settings.integer("pressure.disk-mib", 1024, 0, 1 << 24),
        settings.integer("pressure.pids", 1024, 0, 1 << 22),
        settings.integer("pressure.descriptors", 256, 0, 1 << 20));
  }

  /** What the host is short of, for people; empty if of nothing. */
  public Optional<String> decide(HostView view) {
    List<String> shortages = new ArrayList<>();
    require(shortages, "MiB of memory", view.memoryMib(), memoryMib);
    require(shortages, "MiB of disk", view.diskMib(), diskMib);
    require(shortages, "process ids", view.pids(), pids);
    require(shortages, "file descriptors", view.descriptors(), descriptors);
    view.memoryStall()
        .ifPresent(percent -> {
          if (percent > memoryStallPercent) {
            shortages.add(
                "tasks waited for memory in %.0f %% of the last 10 s, expected at most %d %%"
                    .formatted(percent, memoryStallPercent));
          }
        });
    return shortages.isEmpty() ? Optional.empty() : Optional.of(String.join("; ", shortages));
  }

  private static void require(List<String> shortages, String what, long left, int least) {
    if (left < least) {
      shortages.add(
          "%d %s are left, expected at least %d".formatted(Math.max(left, 0), what, least));
    }
  }
}
