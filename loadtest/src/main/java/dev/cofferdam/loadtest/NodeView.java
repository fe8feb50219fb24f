package dev.cofferdam.loadtest;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** The one node of the mesh under test, seen from its host. */
final class NodeView implements AutoCloseable {
  private static final Duration PATIENCE = Duration.ofSeconds(60);
  private static final Duration LOOK_AGAIN = Duration.ofMillis(50);
  private static final Path CGROUPS = Path.of("/sys/fs/cgroup");

  private final Metrics metrics;
  private final String mesh;

  private NodeView(Metrics metrics, String mesh) {
    this.metrics = metrics;
    this.mesh = mesh;
  }

  /** From what {@code testkit/run.sh} exports. */
  static NodeView open(Map<String, String> environment) throws IOException {
    Path state = Path.of(Api.required(environment, "COFFERDAM_STATE"));
    return new NodeView(Metrics.of(state, "node"), Api.required(environment, "COFFERDAM_STAGE"));
  }

  /** Returns once the pool holds all that it wants to, and one at that stage at least. */
  void awaitFull(Pool pool) throws IOException, InterruptedException {
    if (pool == Pool.NONE) {
      return;
    }
    long end = System.nanoTime() + PATIENCE.toNanos();
    while (true) {
      double missing = metrics.value("cofferdam_node_pool_missing");
      double depth =
          metrics.value(
              "cofferdam_node_pool_depth{kind=\"operator\",stage=\"" + pool.stage() + "\"}");
      if (missing == 0 && depth >= 1) {
        return;
      }
      if (System.nanoTime() > end) {
        throw new IllegalStateException(
            "after %s the pool has %.0f machines %s, and %.0f are missing"
                .formatted(PATIENCE, depth, pool.stage(), missing));
      }
      Thread.sleep(LOOK_AGAIN);
    }
  }

  /** Private memory of each VMM of the mesh in MiB: what nobody else has mapped. */
  List<Double> privateMib() throws IOException {
    List<Double> sizes = new ArrayList<>();
    for (String pid : vmms()) {
      double kib = 0;
      for (String line : Files.readAllLines(Path.of("/proc", pid, "smaps_rollup"))) {
        if (line.startsWith("Private_")) {
          kib += Double.parseDouble(line.replaceAll("[^0-9]", ""));
        }
      }
      sizes.add(kib / 1024);
    }
    return sizes;
  }

  /** By their cgroups, in whichever hierarchy there is. */
  private List<String> vmms() throws IOException {
    for (String hierarchy : List.of("", "pids", "memory", "cpu")) {
      Path slots = CGROUPS.resolve(hierarchy).resolve("cofferdam").resolve(mesh);
      if (Files.isDirectory(slots)) {
        List<String> pids = new ArrayList<>();
        try (Stream<Path> groups = Files.list(slots)) {
          for (Path group : groups.filter(Files::isDirectory).toList()) {
            pids.addAll(Files.readAllLines(group.resolve("cgroup.procs")));
          }
        }
        return pids;
      }
    }
    return List.of();
  }

  @Override
  public void close() {
    metrics.close();
  }
}
