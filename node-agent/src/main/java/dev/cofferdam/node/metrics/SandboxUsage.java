package dev.cofferdam.node.metrics;

import dev.cofferdam.node.helper.HelperException;
import dev.cofferdam.node.helper.SlotUsage;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.MeterRegistry;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * CPU, memory, disk and network of each sandbox, by its id. A sandbox's series begin at the first
 * {@link #read} that finds it and go with the first that does not: there are never more than slots.
 */
public final class SandboxUsage {
  private static final Logger log = LoggerFactory.getLogger(SandboxUsage.class);
  private static final double NANOS = 1e9;

  /** node-helper, who alone gets at it. */
  @FunctionalInterface
  public interface Source {
    /**
     * @throws HelperException NOT_FOUND for a sandbox that has ended
     */
    SlotUsage usage(int slot, String sandbox);
  }

  /** One sandbox's last reading, and the meters that show it. */
  private static final class Series {
    private volatile SlotUsage latest;
    private List<Meter> meters = List.of();

    Series(SlotUsage first) {
      latest = first;
    }
  }

  private final Supplier<Map<String, Integer>> sandboxes;
  private final Source source;
  private final MeterRegistry meters;
  private final ReentrantLock reading = new ReentrantLock();
  private final Map<String, Series> known = new HashMap<>();

  /**
   * @param sandboxes the slot of each that has a VM
   */
  public SandboxUsage(
      Supplier<Map<String, Integer>> sandboxes, Source source, MeterRegistry meters) {
    this.sandboxes = sandboxes;
    this.source = source;
    this.meters = meters;
  }

  /**
   * Reads all of them once. To be called every few seconds; returns at once where another thread is
   * still at it.
   */
  public void read() {
    if (reading.tryLock()) {
      try {
        readAll();
      } finally {
        reading.unlock();
      }
    }
  }

  private void readAll() {
    Map<String, Integer> present = sandboxes.get();
    known
        .entrySet()
        .removeIf(entry -> {
          boolean gone = !present.containsKey(entry.getKey());
          if (gone) {
            entry.getValue().meters.forEach(meters::remove);
          }
          return gone;
        });
    try {
      present.forEach(this::read);
    } catch (HelperException e) {
      // The next reading may find it; what was read last stays.
      log.atWarn().setMessage("usage_not_read").addKeyValue("cause", e.getMessage()).log();
    }
  }

  private void read(String sandbox, int slot) {
    SlotUsage usage;
    try {
      usage = source.usage(slot, sandbox);
    } catch (HelperException e) {
      if (e.code() == HelperException.Code.NOT_FOUND) {
        return;
      }
      throw e;
    }
    Series series = known.get(sandbox);
    if (series == null) {
      series = new Series(usage);
      series.meters = register(sandbox, series);
      known.put(sandbox, series);
    }
    series.latest = usage;
  }

  private List<Meter> register(String sandbox, Series series) {
    return List.of(
        FunctionCounter.builder("cofferdam.sandbox.cpu", series, s -> s.latest.cpuNanos() / NANOS)
            .description("Processor time of the sandbox's VMM")
            .baseUnit("seconds")
            .tag("sandbox", sandbox)
            .register(meters),
        Gauge.builder("cofferdam.sandbox.memory", series, s -> (double) s.latest.memoryBytes())
            .description("Host memory that counts towards the sandbox's limit")
            .baseUnit("bytes")
            .tag("sandbox", sandbox)
            .register(meters),
        Gauge.builder("cofferdam.sandbox.disk", series, s -> (double) s.latest.diskBytes())
            .description("Host disk that the sandbox's own files occupy")
            .baseUnit("bytes")
            .tag("sandbox", sandbox)
            .register(meters),
        FunctionCounter.builder(
                "cofferdam.sandbox.network", series, s -> (double) s.latest.fromGuestBytes())
            .description("Frames at the sandbox's tap, dropped ones included")
            .baseUnit("bytes")
            .tag("sandbox", sandbox)
            .tag("direction", "from_guest")
            .register(meters),
        FunctionCounter.builder(
                "cofferdam.sandbox.network", series, s -> (double) s.latest.toGuestBytes())
            .description("Frames at the sandbox's tap, dropped ones included")
            .baseUnit("bytes")
            .tag("sandbox", sandbox)
            .tag("direction", "to_guest")
            .register(meters));
  }
}
