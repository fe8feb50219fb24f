package dev.cofferdam.node.metrics;

import dev.cofferdam.node.machine.Hypervisor;
import dev.cofferdam.node.sandbox.Sandboxes;
import dev.cofferdam.node.sandbox.SizeLimits;
import dev.cofferdam.node.slot.SlotPool;
import dev.cofferdam.node.template.TemplateStatus;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;

/** How much room the node has, what is in it, and what it is. */
public final class NodeMeters {
  private static final List<String> STATES =
      List.of("starting", "running", "halting", "paused", "suspended", "removing");
  private static final Path MEMORY = Path.of("/proc/meminfo");

  private final MeterRegistry meters;

  private NodeMeters(MeterRegistry meters) {
    this.meters = meters;
  }

  /**
   * @param pressure why nothing may be placed here now; empty while all is well
   * @param sandboxRoot whose file system holds the sandboxes' disks
   */
  public static void register(
      MeterRegistry meters,
      Hypervisor hypervisor,
      SizeLimits limits,
      Sandboxes sandboxes,
      SlotPool slots,
      Supplier<Optional<String>> pressure,
      Path sandboxRoot) {
    NodeMeters node = new NodeMeters(meters);
    Gauge.builder("cofferdam.node.info", () -> 1)
        .description("The driver and the boundary that it gives")
        .tag("driver", hypervisor.name())
        .tag("isolation", hypervisor.isolation().label())
        .register(meters);
    for (String state : STATES) {
      Gauge.builder("cofferdam.node.sandboxes", () -> sandboxes.counts().getOrDefault(state, 0))
          .description("Sandboxes on this node by state")
          .tag("state", state)
          .register(meters);
    }
    Gauge.builder("cofferdam.node.pressure", () -> pressure.get().isPresent() ? 1 : 0)
        .description("1 while the host is short of something and the node takes no more sandboxes")
        .register(meters);
    node.slots("used", slots::used);
    node.slots("available", slots::available);
    node.bytes(
        "cofferdam.node.memory.limit",
        "Guest memory that may be promised to sandboxes",
        () -> mebibytes(limits.memoryMib()));
    node.bytes(
        "cofferdam.node.memory.free",
        "Guest memory that is promised to no sandbox",
        () -> mebibytes(sandboxes.freeMemoryMib()));
    node.bytes(
        "cofferdam.node.host.memory.total",
        "Memory of the host, from /proc/meminfo",
        () -> memory("MemTotal:"));
    node.bytes(
        "cofferdam.node.host.memory.available",
        "Memory of the host that could be had without swapping, from /proc/meminfo",
        () -> memory("MemAvailable:"));
    node.bytes(
        "cofferdam.node.filesystem.size",
        "The file system of the sandboxes' disks",
        () -> space(sandboxRoot, false));
    node.bytes(
        "cofferdam.node.filesystem.available",
        "What is left of the file system of the sandboxes' disks",
        () -> space(sandboxRoot, true));
  }

  /**
   * @param operators how many of the operator's can be started, each size counted
   * @param tenants how many of tenants' are in each state
   */
  public static void templates(
      MeterRegistry meters,
      Supplier<Number> operators,
      Supplier<Map<TemplateStatus.State, Integer>> tenants) {
    NodeMeters node = new NodeMeters(meters);
    node.templates("operator", "ready", operators);
    for (TemplateStatus.State state : TemplateStatus.State.values()) {
      node.templates(
          "tenant",
          state.name().toLowerCase(Locale.ROOT),
          () -> tenants.get().getOrDefault(state, 0));
    }
  }

  private void templates(String kind, String state, Supplier<Number> count) {
    Gauge.builder("cofferdam.node.templates", count)
        .description("Templates on this node, by whose they are and how far they are")
        .tag("kind", kind)
        .tag("state", state)
        .register(meters);
  }

  private void slots(String use, Supplier<Number> count) {
    Gauge.builder("cofferdam.node.slots", count)
        .description("Places for sandboxes; used ones hold one, or one that is being made")
        .tag("use", use)
        .register(meters);
  }

  private void bytes(String name, String description, Supplier<Number> value) {
    Gauge.builder(name, value).description(description).baseUnit("bytes").register(meters);
  }

  private static Number mebibytes(int count) {
    return (long) count << 20;
  }

  /** NaN, which Prometheus takes for a gap, where it cannot be read. */
  private static Number memory(String field) {
    try (var lines = Files.lines(MEMORY)) {
      return lines
          .filter(line -> line.startsWith(field))
          .map(line -> line.substring(field.length()).replace("kB", "").strip())
          .mapToDouble(kibibytes -> Double.parseDouble(kibibytes) * 1024)
          .findFirst()
          .orElse(Double.NaN);
    } catch (IOException e) {
      return Double.NaN;
    }
  }

  private static Number space(Path path, boolean available) {
    try {
      var store = Files.getFileStore(path);
      return available ? store.getUsableSpace() : store.getTotalSpace();
    } catch (IOException e) {
      return Double.NaN;
    }
  }
}
