package dev.cofferdam.loadtest;

import java.io.IOException;
import java.util.ArrayList;
import java.util.DoubleSummaryStatistics;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Many creates at one moment, each up to the output of a command; then what all of them hold. */
final class Burst {
  private Burst() {}

  static void run(Report report, Creates workload, NodeView node, Pool pool, int count)
      throws IOException, InterruptedException {
    node.awaitFull(pool);
    List<Creates.Made> made = new ArrayList<>();
    List<Throwable> lost = new ArrayList<>();
    long begin = System.nanoTime();
    try (ExecutorService workers = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<Creates.Made>> pending = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        pending.add(workers.submit(workload::make));
      }
      for (Future<Creates.Made> one : pending) {
        try {
          made.add(one.get());
        } catch (ExecutionException e) {
          lost.add(e.getCause());
        }
      }
    }
    report.line(
        "burst of %d at once: %d answered, %d lost %s"
            .formatted(count, made.size(), lost.size(), lost.stream().limit(1).toList()));
    report.fact("burst", count);
    report.fact("burst_answered", made.size());
    if (!made.isEmpty()) {
      report.times(
          "burst_first_output",
          "  burst to first output",
          Percentiles.ofNanos(
              made.stream().mapToLong(one -> one.firstOutputAt() - begin).toArray()));
    }
    memory(report, node);
    made.forEach(one -> workload.delete(one.sandbox()));
  }

  /** While they idle. The pool's own machines are among them: they differ in nothing. */
  private static void memory(Report report, NodeView node) throws IOException {
    DoubleSummaryStatistics sizes =
        node.privateMib().stream().mapToDouble(Double::doubleValue).summaryStatistics();
    if (sizes.getCount() > 0) {
      report.line(
          "private memory of %d idle VMMs, QEMU's own included".formatted(sizes.getCount()));
      report.number("private_mib_mean", "  mean", sizes.getAverage(), "MiB");
      report.number("private_mib_max", "  most", sizes.getMax(), "MiB");
    }
  }
}
