package dev.cofferdam.loadtest;

import java.io.IOException;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** A workload that goes through the gateway to the test upstream, and its report. */
abstract class GatewayCommand implements Callable<Integer> {
  @Option(names = "--json", paramLabel = "FILE", description = "Write the results there too.")
  private @Nullable Path json;

  @Spec private CommandSpec spec = CommandSpec.create();

  /**
   * The mesh under test.
   *
   * @param state its directory
   * @param environment with what its clients need
   */
  record Bench(Path state, Origin origin, Map<String, String> environment, Report report) {
    Api api() throws IOException {
      return Api.open(environment);
    }

    MeshView mesh() throws IOException {
      return MeshView.open(state);
    }
  }

  @Override
  public final Integer call() throws IOException {
    Map<String, String> environment = System.getenv();
    Report report =
        new Report(spec.commandLine().getOut(), spec.name(), InstantSource.system().instant());
    measure(
        new Bench(
            Path.of(Api.required(environment, "COFFERDAM_STATE")),
            Origin.of(environment),
            environment,
            report));
    report.write(Optional.ofNullable(json));
    return 0;
  }

  abstract void measure(Bench bench) throws IOException;
}
