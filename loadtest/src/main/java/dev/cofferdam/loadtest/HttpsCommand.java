package dev.cofferdam.loadtest;

import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressRule;
import java.io.IOException;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * HTTPS through the gateway against the same requests without it, in turns, so that whatever else
 * the machine does meets all of them.
 */
@Command(
    name = "https",
    mixinStandardHelpOptions = true,
    description = "HTTPS through the gateway, against direct. Needs root.")
final class HttpsCommand implements Callable<Integer> {
  @Option(
      names = "--rates",
      split = ",",
      description = "Requests per second (default: ${DEFAULT-VALUE}).")
  private List<Integer> rates = List.of(200, 500, 1000);

  @Option(names = "--rounds", description = "Turns of each (default: ${DEFAULT-VALUE}).")
  private int rounds = 5;

  @Option(names = "--seconds", description = "Of one turn (default: ${DEFAULT-VALUE}).")
  private int seconds = 3;

  @Option(names = "--connections", description = "Kept alive (default: ${DEFAULT-VALUE}).")
  private int connections = 8;

  @Option(
      names = "--warm-up",
      description = "Turns of each before any counts (default: ${DEFAULT-VALUE}).")
  private int warmUp = 6;

  @Option(
      names = "--only",
      split = ",",
      paramLabel = "NAME",
      description =
          "Of gateway, substituted, mitmproxy, squid, beside direct. Default: all there is.")
  private Set<String> only = Ways.NAMES;

  @Option(names = "--json", paramLabel = "FILE", description = "Write the results there too.")
  private @Nullable Path json;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Override
  public Integer call() throws IOException {
    Map<String, String> environment = System.getenv();
    Path state = Path.of(Api.required(environment, "COFFERDAM_STATE"));
    Origin origin = Origin.of(environment);
    Report report =
        new Report(spec.commandLine().getOut(), "https", InstantSource.system().instant());
    try (Api api = Api.open(environment);
        MeshView mesh = MeshView.open(state);
        SpeakingSandbox sandbox =
            SpeakingSandbox.withSecret(api, state, origin.host(), policy(origin));
        Contenders contenders = new Contenders()) {
      new Ways(report, contenders, origin, sandbox)
          .add(only, List.of("--path=/bytes/1024", "--connections=" + connections));
      report.line(
          "https, 1 KiB answers, %d kept-alive connections, %d turns of %d s each; the client speaks from the sandbox's slot, outside the VM"
              .formatted(connections, rounds, seconds));
      compare(report, contenders, mesh);
    }
    report.write(Optional.ofNullable(json));
    return 0;
  }

  private static EgressPolicy policy(Origin origin) {
    return EgressPolicy.newBuilder()
        .addRules(EgressRule.newBuilder().setHost(origin.host()))
        .build();
  }

  private void compare(Report report, Contenders contenders, MeshView mesh) throws IOException {
    Comparison comparison =
        new Comparison(report, contenders, Ways.DIRECT, rounds, seconds * 1000L)
            .costing(mesh, Set.of(Ways.INTERCEPTED, Ways.SUBSTITUTED));
    comparison.warmUp(warmUp);
    for (int rate : rates) {
      comparison.at(rate);
    }
    Map<String, Double> full = comparison.full("requests/s", 1);
    comparison.ratio(full, Ways.INTERCEPTED, Ways.DIRECT, Goal.atLeast(0.5));
    comparison.ratio(full, Ways.SUBSTITUTED, Ways.DIRECT, Goal.atLeast(0.2));
    comparison.ratio(full, Ways.INTERCEPTED, Ways.MITMPROXY, Goal.atLeast(5));
    comparison.ratio(full, Ways.INTERCEPTED, Ways.SQUID, Goal.atLeast(1));
    comparison.ratio(full, Ways.SUBSTITUTED, Ways.MITMPROXY_SUBSTITUTED, Goal.atLeast(5));
  }
}
