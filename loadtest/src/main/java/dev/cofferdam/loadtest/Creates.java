package dev.cofferdam.loadtest;

import dev.cofferdam.v1.CreateSandboxRequest;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.Sandbox;
import dev.cofferdam.v1.StartReport;
import dev.cofferdam.v1.StartWay;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.ToLongFunction;
import java.util.stream.Collectors;

/** One sandbox after another, from its create to its end. Safe for use by several threads. */
final class Creates {
  private static final String[] COMMAND = {"echo", "ready"};

  /** Times of one sandbox in nanoseconds. */
  record Sample(long create, long firstOutput, long sameAgain, long delete, StartReport start) {
    long total() {
      return create + firstOutput;
    }

    long handOver() {
      return total() - sameAgain;
    }
  }

  private final Api api;
  private final CreateSandboxRequest request;

  Creates(Api api, String template) {
    this.api = api;
    this.request =
        CreateSandboxRequest.newBuilder()
            .setTemplate(template)
            .setEgressPolicy(
                EgressPolicy.newBuilder()
                    .addRules(EgressRule.newBuilder().setHost("api.echo.test")))
            .build();
  }

  Sample measure() {
    long begin = System.nanoTime();
    Sandbox sandbox = api.create(request);
    long created = System.nanoTime();
    try {
      Exec first = api.exec(sandbox.getId(), COMMAND);
      Exec again = api.exec(sandbox.getId(), COMMAND);
      long deleting = System.nanoTime();
      api.delete(sandbox.getId());
      return new Sample(
          created - begin,
          first.firstOutputNanos(),
          again.firstOutputNanos(),
          System.nanoTime() - deleting,
          sandbox.getStart());
    } catch (RuntimeException e) {
      api.delete(sandbox.getId());
      throw e;
    }
  }

  /**
   * One that stays.
   *
   * @param firstOutputAt of the command that was run in it, by {@link System#nanoTime()}
   */
  record Made(String sandbox, long firstOutputAt) {}

  Made make() {
    Sandbox sandbox = api.create(request);
    var _ = api.exec(sandbox.getId(), COMMAND);
    return new Made(sandbox.getId(), System.nanoTime());
  }

  void delete(String sandbox) {
    api.delete(sandbox);
  }

  /** Times of one sandbox that sleeps and wakes, in nanoseconds. */
  record Nap(long pause, long resumeToOutput, long suspend, long wakeToOutput) {}

  Nap nap(String sandbox) {
    long begin = System.nanoTime();
    api.pause(sandbox);
    long paused = System.nanoTime();
    api.resume(sandbox);
    var _ = api.exec(sandbox, COMMAND);
    long resumed = System.nanoTime();
    api.suspend(sandbox);
    long suspended = System.nanoTime();
    // A call to a suspended sandbox wakes it.
    var _ = api.exec(sandbox, COMMAND);
    return new Nap(
        paused - begin, resumed - paused, suspended - resumed, System.nanoTime() - suspended);
  }

  static Percentiles total(List<Sample> samples) {
    return of(samples, Sample::total);
  }

  static void tell(Report report, List<Sample> samples) {
    report.line(Percentiles.HEADING);
    report.times("total", "create to first output", total(samples));
    report.times("create", "  create", of(samples, Sample::create));
    report.times("first_output", "  first command to its output", of(samples, Sample::firstOutput));
    report.times("same_again", "the same command again", of(samples, Sample::sameAgain));
    report.times("hand_over", "hand-over (total less the same)", of(samples, Sample::handOver));
    report.times("delete", "delete", of(samples, Sample::delete));
    steps(report, samples);
  }

  /** Of the create: what the node did with its part. */
  private static void steps(Report report, List<Sample> samples) {
    Map<StartWay, Long> ways =
        samples.stream()
            .collect(
                Collectors.groupingBy(
                    sample -> sample.start().getWay(), TreeMap::new, Collectors.counting()));
    report.fact("ways", ways);
    report.line("the node's part of it, by step (steps overlap); ways: " + ways);
    TreeSet<String> names = new TreeSet<>();
    samples.forEach(sample -> names.addAll(sample.start().getStepsMsMap().keySet()));
    for (String name : names) {
      long[] times =
          samples.stream()
              .filter(sample -> sample.start().containsStepsMs(name))
              .mapToLong(sample -> (long) (sample.start().getStepsMsOrThrow(name) * 1e6))
              .toArray();
      report.times("step_" + name, "  " + name, Percentiles.ofNanos(times));
    }
  }

  private static Percentiles of(List<Sample> samples, ToLongFunction<Sample> time) {
    return Percentiles.ofNanos(samples.stream().mapToLong(time).toArray());
  }
}
