package dev.cofferdam.loadtest;

import java.io.IOException;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * From the create call to the first byte that a command in the new sandbox prints, an egress policy
 * in force. The hand-over is that time less the same command in the same sandbox once it runs: what
 * a sandbox costs beyond what any command costs on this machine.
 */
@Command(
    name = "create",
    mixinStandardHelpOptions = true,
    description = "Create to first output, through the public API.")
final class CreateCommand implements Callable<Integer> {
  @Option(names = "--creates", description = "Sandboxes to create (default: ${DEFAULT-VALUE}).")
  private int creates = 50;

  @Option(
      names = "--warm-up",
      description = "Creates that are not counted (default: ${DEFAULT-VALUE}).")
  private int warmUp = 20;

  @Option(names = "--parallel", description = "Creates at a time (default: ${DEFAULT-VALUE}).")
  private int parallel = 1;

  @Option(
      names = "--pool",
      description =
          "What each create finds: ${COMPLETION-CANDIDATES} (default: ${DEFAULT-VALUE}). The node's"
              + " configuration has to say the same; run.sh sees to it.")
  private Pool pool = Pool.RESTORED;

  @Option(
      names = "--burst",
      description = "Creates at once, in the end; 0 for none (default: ${DEFAULT-VALUE}).")
  private int burst = 20;

  @Option(
      names = "--naps",
      description =
          "Pauses, resumes, suspends and wakes of one sandbox, in the end; 0 for none (default:"
              + " ${DEFAULT-VALUE}).")
  private int naps = 10;

  @Option(names = "--template", description = "Default: the mesh's own.")
  private String template = "";

  @Option(names = "--json", paramLabel = "FILE", description = "Write the results there too.")
  private @Nullable Path json;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Override
  public Integer call() throws IOException, InterruptedException, ExecutionException {
    if (creates < 1 || warmUp < 0 || parallel < 1 || burst < 0 || naps < 0) {
      throw new IllegalArgumentException(
          "creates %d, warm-up %d, parallel %d, burst %d, naps %d: expected at least 1, 0, 1, 0, 0"
              .formatted(creates, warmUp, parallel, burst, naps));
    }
    Report report =
        new Report(
            spec.commandLine().getOut(),
            "create-to-first-output",
            InstantSource.system().instant());
    try (Api api = Api.open(System.getenv());
        NodeView node = NodeView.open(System.getenv())) {
      report.line(
          "create to first output: %d creates after %d to warm up, %d at a time, pool: %s"
              .formatted(creates, warmUp, parallel, pool));
      report.fact("pool", pool.name());
      report.fact("parallel", parallel);
      Creates workload = new Creates(api, template);
      measure(report, workload, node);
      if (naps > 0) {
        Naps.run(report, workload, naps);
      }
      if (burst > 0) {
        Burst.run(report, workload, node, pool, burst);
      }
    }
    report.write(Optional.ofNullable(json));
    return 0;
  }

  private void measure(Report report, Creates workload, NodeView node)
      throws IOException, InterruptedException, ExecutionException {
    for (int i = 0; i < warmUp; i++) {
      node.awaitFull(pool);
      var _ = workload.measure();
    }
    Optional<GvisorPeer> peer = GvisorPeer.find();
    List<Creates.Sample> samples = new ArrayList<>();
    List<Long> peerTimes = new ArrayList<>();
    try (ExecutorService workers = Executors.newFixedThreadPool(parallel)) {
      while (samples.size() < creates) {
        node.awaitFull(pool);
        List<Future<Creates.Sample>> pending = new ArrayList<>();
        for (int i = 0; i < Math.min(parallel, creates - samples.size()); i++) {
          pending.add(workers.submit(workload::measure));
        }
        for (Future<Creates.Sample> sample : pending) {
          samples.add(sample.get());
        }
        if (peer.isPresent()) {
          // Its turn, on a machine that has settled again.
          node.awaitFull(pool);
          peerTimes.add(peer.get().run());
        }
      }
    }
    Creates.tell(report, samples);
    if (peerTimes.isEmpty()) {
      report.line("runsc do: not measured, the package runsc is not installed");
    } else {
      Percentiles gvisor = Percentiles.ofNanos(peerTimes);
      report.times("runsc_do", "runsc do (gVisor), beside it", gvisor);
      report.number(
          "times_faster_than_runsc",
          "times faster than runsc do, p50",
          gvisor.p50() / Creates.total(samples).p50(),
          "x");
    }
  }
}
