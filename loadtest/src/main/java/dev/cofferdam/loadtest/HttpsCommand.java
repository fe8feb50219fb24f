package dev.cofferdam.loadtest;

import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Set;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/**
 * HTTPS through the gateway against the same requests without it, in turns, so that whatever else
 * the machine does meets all of them.
 */
@Command(
    name = "https",
    mixinStandardHelpOptions = true,
    description = "HTTPS through the gateway, against direct. Needs root.")
final class HttpsCommand extends GatewayCommand {
  @Option(
      names = "--rates",
      split = ",",
      description = "Requests per second (default: ${DEFAULT-VALUE}).")
  private List<Integer> rates = List.of(200, 500, 1000);

  @Mixin private Turns turns = new Turns(5, 3, 6);

  @Option(names = "--connections", description = "Kept alive (default: ${DEFAULT-VALUE}).")
  private int connections = 8;

  @Option(
      names = "--only",
      split = ",",
      paramLabel = "NAME",
      description =
          "Of gateway, substituted, mitmproxy, squid, beside direct. Default: all there is.")
  private Set<String> only = Ways.NAMES;

  @Override
  void measure(Bench bench) throws IOException {
    Origin origin = bench.origin();
    Report report = bench.report();
    try (Api api = bench.api();
        MeshView mesh = bench.mesh();
        SpeakingSandbox sandbox =
            SpeakingSandbox.withSecret(api, bench.state(), origin.host(), origin.policy());
        Contenders contenders = new Contenders()) {
      new Ways(report, contenders, origin, sandbox)
          .add(only, List.of("--path=/bytes/1024", "--connections=" + connections));
      report.line(
          "https, 1 KiB answers, %d kept-alive connections, %d turns of %d s each; the client speaks from the sandbox's slot, outside the VM"
              .formatted(connections, turns.rounds(), turns.seconds()));
      compare(report, contenders, mesh);
    }
  }

  private void compare(Report report, Contenders contenders, MeshView mesh) throws IOException {
    Comparison comparison =
        new Comparison(report, contenders, Ways.DIRECT, turns.rounds(), turns.millis())
            .costing(mesh, Set.of(Ways.INTERCEPTED, Ways.SUBSTITUTED));
    comparison.warmUp(turns.warmUp());
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
