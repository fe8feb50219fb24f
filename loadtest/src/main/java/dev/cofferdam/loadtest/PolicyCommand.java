package dev.cofferdam.loadtest;

import dev.cofferdam.gateway.proxy.RequestBenchmark;
import dev.cofferdam.loadtest.bench.DataBenchmark;
import dev.cofferdam.loadtest.bench.PolicyBenchmark;
import dev.cofferdam.loadtest.bench.SearchBenchmark;
import java.util.EnumSet;
import java.util.Set;
import java.util.concurrent.Callable;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

@Command(
    name = "policy",
    mixinStandardHelpOptions = true,
    description =
        "What judging and searching one request by a policy costs, in this process alone (JMH).")
final class PolicyCommand implements Callable<Integer> {
  /** What is measured by itself. */
  enum Part {
    /** Policy and substitution of one request together. */
    REQUEST(RequestBenchmark.class),
    /** A policy alone. */
    POLICY(PolicyBenchmark.class),
    /** Data rules over a body. */
    DATA(DataBenchmark.class),
    /** The search for placeholders in a body. */
    SEARCH(SearchBenchmark.class);

    private final Class<?> benchmark;

    Part(Class<?> benchmark) {
      this.benchmark = benchmark;
    }
  }

  @Option(
      names = "--only",
      split = ",",
      paramLabel = "PART",
      description = "Of ${COMPLETION-CANDIDATES}. Default: all.")
  private Set<Part> only = EnumSet.allOf(Part.class);

  @Override
  public Integer call() throws RunnerException {
    ChainedOptionsBuilder options = new OptionsBuilder();
    for (Part part : only) {
      options = options.include(part.benchmark.getName());
    }
    var _ = new Runner(options.build()).run();
    return 0;
  }
}
