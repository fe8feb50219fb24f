package dev.cofferdam.loadtest;

import dev.cofferdam.v1.CreateSandboxRequest;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.Sandbox;
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
  private int warmUp = 5;

  @Option(names = "--parallel", description = "Creates at a time (default: ${DEFAULT-VALUE}).")
  private int parallel = 1;

  @Option(names = "--template", description = "Default: the mesh's own.")
  private String template = "";

  @Option(names = "--json", paramLabel = "FILE", description = "Write the results there too.")
  private @Nullable Path json;

  @Spec private CommandSpec spec = CommandSpec.create();

  /** Times of one sandbox in nanoseconds; the steps add up to the total. */
  private record Sample(long create, long firstOutput, long sameAgain, long delete) {
    long total() {
      return create + firstOutput;
    }

    long handOver() {
      return total() - sameAgain;
    }
  }

  @Override
  public Integer call() throws IOException, InterruptedException, ExecutionException {
    if (creates < 1 || warmUp < 0 || parallel < 1) {
      throw new IllegalArgumentException(
          "creates %d, warm-up %d, parallel %d: expected at least 1, 0 and 1"
              .formatted(creates, warmUp, parallel));
    }
    Report report =
        new Report(
            spec.commandLine().getOut(),
            "create-to-first-output",
            InstantSource.system().instant());
    try (Api api = Api.open(System.getenv())) {
      report.line(
          "create to first output: %d creates after %d to warm up, %d at a time"
              .formatted(creates, warmUp, parallel));
      for (int i = 0; i < warmUp; i++) {
        var _ = measure(api);
      }
      List<Sample> samples = measureAll(api);
      tell(report, samples);
    }
    report.write(Optional.ofNullable(json));
    return 0;
  }

  private List<Sample> measureAll(Api api) throws InterruptedException, ExecutionException {
    List<Sample> samples = new ArrayList<>();
    try (ExecutorService workers = Executors.newFixedThreadPool(parallel)) {
      List<Future<Sample>> pending = new ArrayList<>();
      for (int i = 0; i < creates; i++) {
        pending.add(workers.submit(() -> measure(api)));
      }
      for (Future<Sample> sample : pending) {
        samples.add(sample.get());
      }
    }
    return samples;
  }

  private Sample measure(Api api) {
    CreateSandboxRequest request =
        CreateSandboxRequest.newBuilder()
            .setTemplate(template)
            .setEgressPolicy(
                EgressPolicy.newBuilder()
                    .addRules(EgressRule.newBuilder().setHost("api.echo.test")))
            .build();
    long begin = System.nanoTime();
    Sandbox sandbox = api.create(request);
    long created = System.nanoTime();
    try {
      Exec first = api.exec(sandbox.getId(), "echo", "ready");
      Exec again = api.exec(sandbox.getId(), "echo", "ready");
      long deleting = System.nanoTime();
      api.delete(sandbox.getId());
      return new Sample(
          created - begin,
          first.firstOutputNanos(),
          again.firstOutputNanos(),
          System.nanoTime() - deleting);
    } catch (RuntimeException e) {
      api.delete(sandbox.getId());
      throw e;
    }
  }

  private void tell(Report report, List<Sample> samples) {
    report.fact("parallel", parallel);
    report.line(Percentiles.HEADING);
    report.times("total", "create to first output", of(samples, Sample::total));
    report.times("create", "  create", of(samples, Sample::create));
    report.times("first_output", "  first command to its output", of(samples, Sample::firstOutput));
    report.times("same_again", "the same command again", of(samples, Sample::sameAgain));
    report.times("hand_over", "hand-over (total less the same)", of(samples, Sample::handOver));
    report.times("delete", "delete", of(samples, Sample::delete));
  }

  private static Percentiles of(
      List<Sample> samples, java.util.function.ToLongFunction<Sample> time) {
    return Percentiles.ofNanos(samples.stream().mapToLong(time).toArray());
  }
}
