package dev.cofferdam.loadtest;

import dev.cofferdam.loadtest.bench.DataBenchmark;
import dev.cofferdam.loadtest.bench.PolicyBenchmark;
import dev.cofferdam.loadtest.bench.SearchBenchmark;
import java.util.concurrent.Callable;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import picocli.CommandLine.Command;

@Command(
    name = "policy",
    mixinStandardHelpOptions = true,
    description =
        "What judging and searching one request by a policy costs, in this process alone (JMH).")
final class PolicyCommand implements Callable<Integer> {
  @Override
  public Integer call() throws RunnerException {
    var _ =
        new Runner(
                new OptionsBuilder()
                    .include(PolicyBenchmark.class.getName())
                    .include(DataBenchmark.class.getName())
                    .include(SearchBenchmark.class.getName())
                    .build())
            .run();
    return 0;
  }
}
