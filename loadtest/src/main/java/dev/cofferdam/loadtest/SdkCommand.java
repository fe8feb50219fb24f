package dev.cofferdam.loadtest;

import dev.cofferdam.loadtest.SdkClient.Way;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * Through the edge by the published SDK for Python, and beside it, in turns, by the public API from
 * the same program.
 */
@Command(
    name = "sdk",
    mixinStandardHelpOptions = true,
    description = "The published SDK through the edge, against the public API.")
final class SdkCommand extends GatewayCommand {
  /** What is measured. */
  enum Part {
    /** The edge's memory with sessions that do nothing: first, before files have grown its heap. */
    IDLE,
    /** To the first byte of a command in a new sandbox. */
    CREATE,
    /** A command to its end, in one sandbox. */
    SPAWN,
    /** A long file each way, and short ones. */
    FILES
  }

  private static final double MEGABYTE = 1e6;

  /** Of a file that the SDK reads in one message. */
  private static final int SMALL = 500_000;

  private static final int SMALL_FILES = 10;

  @Option(
      names = "--parts",
      split = ",",
      description = "Of ${COMPLETION-CANDIDATES} (default: all).")
  private Set<Part> parts = EnumSet.allOf(Part.class);

  @Option(names = "--creates", description = "Of each way (default: ${DEFAULT-VALUE}).")
  private int creates = 30;

  @Option(
      names = "--warm-up",
      description = "Creates of each, not counted (default: ${DEFAULT-VALUE}).")
  private int warmUp = 20;

  @Option(names = "--spawns", description = "Of each way (default: ${DEFAULT-VALUE}).")
  private int spawns = 200;

  @Option(names = "--bytes", description = "Of the long file (default: ${DEFAULT-VALUE}).")
  private long bytes = 64_000_000;

  @Option(names = "--rounds", description = "Turns with files (default: ${DEFAULT-VALUE}).")
  private int rounds = 3;

  @Option(names = "--sessions", description = "That idle (default: ${DEFAULT-VALUE}).")
  private int sessions = 500;

  @Override
  void measure(Bench bench) throws IOException {
    Report report = bench.report();
    try (NodeView node = NodeView.open(bench.environment());
        MeshView mesh = bench.mesh();
        SdkClient client = SdkClient.start(bench.environment())) {
      for (Part part : parts) {
        switch (part) {
          case CREATE -> create(report, node, client);
          case SPAWN -> spawn(report, client);
          case FILES -> files(report, client);
          case IDLE -> idle(report, mesh, client);
        }
        report.line("");
      }
    }
  }

  private void create(Report report, NodeView node, SdkClient client) throws IOException {
    Map<Way, List<Long>> total = new EnumMap<>(Way.class);
    Map<Way, List<Long>> created = new EnumMap<>(Way.class);
    for (int i = -warmUp; i < creates; i++) {
      for (Way way : Way.values()) {
        awaitFull(node);
        long[] times = client.ask(way, "create");
        if (i >= 0) {
          total.computeIfAbsent(way, _ -> new ArrayList<>()).add(times[0]);
          created.computeIfAbsent(way, _ -> new ArrayList<>()).add(times[1]);
        }
      }
    }
    report.line(
        "create to first output: %d of each in turns after %d to warm up"
            .formatted(creates, warmUp));
    report.line(Percentiles.HEADING);
    for (Way way : Way.values()) {
      report.times(
          "create_total_" + way.key(), "create to first output, " + way.key(), of(total, way));
      report.times("create_" + way.key(), "  create", of(created, way));
    }
    report.number(
        "create_p50", "of the SDK, p50", of(total, Way.SDK).p50(), "ms", Goal.atMost(150));
    report.number("create_added", "added by the SDK's way, p50", added(total), "ms");
  }

  private static void awaitFull(NodeView node) throws IOException {
    try {
      node.awaitFull(Pool.RESTORED);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
  }

  private void spawn(Report report, SdkClient client) throws IOException {
    Map<Way, List<Long>> times = new EnumMap<>(Way.class);
    int turn = 10;
    for (int done = -spawns; done < spawns; done += turn) {
      for (Way way : Way.values()) {
        long[] some = client.ask(way, "spawn", turn);
        if (done >= 0) {
          Arrays.stream(some).forEach(times.computeIfAbsent(way, _ -> new ArrayList<>())::add);
        }
      }
    }
    report.line("echo to its end, in one sandbox: turns of %d of each".formatted(turn));
    report.line(Percentiles.HEADING);
    for (Way way : Way.values()) {
      report.times("spawn_" + way.key(), "echo to its end, " + way.key(), of(times, way));
    }
    report.number("spawn_added", "added by the SDK's way, p50", added(times), "ms", Goal.atMost(5));
  }

  private void files(Report report, SdkClient client) throws IOException {
    report.line("files: the median of %d turns".formatted(rounds));
    long all = (long) SMALL * SMALL_FILES;
    compare(report, client, "upload", List.of("upload"), bytes, bytes);
    compare(report, client, "download", List.of("download"), bytes, bytes);
    compare(report, client, "output", List.of("download", "output"), bytes, bytes);
    compare(report, client, "write", List.of("write"), all, SMALL, SMALL_FILES);
    compare(report, client, "read", List.of("read"), all, SMALL, SMALL_FILES);
  }

  /**
   * @param besides what the API does in turns with it
   */
  private void compare(
      Report report,
      SdkClient client,
      String task,
      List<String> besides,
      long size,
      long... arguments)
      throws IOException {
    List<Double> sdk = new ArrayList<>();
    Map<String, List<Double>> api = new LinkedHashMap<>();
    for (int round = -1; round < rounds; round++) {
      double one = rate(size, client.ask(Way.SDK, task, arguments));
      for (String beside : besides) {
        double other = rate(size, client.ask(Way.GRPC, beside, arguments));
        if (round >= 0) {
          api.computeIfAbsent(beside, _ -> new ArrayList<>()).add(other);
        }
      }
      if (round >= 0) {
        sdk.add(one);
      }
    }
    report.number(task + "_sdk", task + " by the SDK", median(sdk), "MB/s");
    api.forEach((beside, rates) -> {
      String key = task + "_beside_" + beside;
      report.number(key, "  " + beside + " by the API, beside it", median(rates), "MB/s");
      report.number(
          key + "_ratio", "  times that", median(sdk) / median(rates), "", Goal.atLeast(0.5));
    });
  }

  private static double rate(long size, long[] nanos) {
    return size / MEGABYTE / (nanos[0] / 1e9);
  }

  static double median(List<Double> values) {
    return values.stream().sorted().toList().get(values.size() / 2);
  }

  private void idle(Report report, MeshView mesh, SdkClient client) throws IOException {
    // Code that the first sessions need is no session's.
    var _ = client.ask(Way.SDK, "connect", sessions / 10);
    var _ = client.ask(Way.SDK, "once");
    var _ = client.ask(Way.SDK, "disconnect");
    long before = mesh.resident(MeshView.EDGE);
    var _ = client.ask(Way.SDK, "connect", sessions);
    long with = mesh.resident(MeshView.EDGE);
    report.line(String.format(Locale.ROOT, "idle: %d sessions of one sandbox", sessions));
    report.number("before_mb", "the edge's memory before", before / MEGABYTE, "MB");
    report.number(
        "with_mb", "the edge's memory with them", with / MEGABYTE, "MB", Goal.atMost(200));
    report.number("bytes_each", "of a session", (double) (with - before) / sessions, "bytes");
    // All of them live, or this would fail.
    var _ = client.ask(Way.SDK, "once");
    report.number(
        "after_mb",
        "after a command of each",
        mesh.resident(MeshView.EDGE) / MEGABYTE,
        "MB",
        Goal.atMost(200));
    report.times(
        "disconnect", "close of one", Percentiles.ofNanos(client.ask(Way.SDK, "disconnect")));
  }

  /** What the SDK's way takes beyond the API's, in milliseconds. */
  private static double added(Map<Way, List<Long>> times) {
    return of(times, Way.SDK).p50() - of(times, Way.GRPC).p50();
  }

  private static Percentiles of(Map<Way, List<Long>> times, Way way) {
    return Percentiles.ofNanos(times.getOrDefault(way, List.of()));
  }
}
