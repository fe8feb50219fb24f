package dev.cofferdam.loadtest;

import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.HttpMatch;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/**
 * What one tenant's requests take at a fixed rate while another tenant sends as many as it can, in
 * turns with what they take alone, and with the same flood beside the gateway, straight to the
 * upstream, at the rate that it had reached: what that does is the machine's doing.
 */
@Command(
    name = "flood",
    mixinStandardHelpOptions = true,
    description = "One tenant's requests while another floods. Needs root.")
final class FloodCommand extends GatewayCommand {
  /** Of the other tenant's requests. */
  enum Kind {
    /** That pass. */
    ALLOWED,
    /** That its policy denies. */
    DENIED,
    /** With a secret of its own. */
    USES
  }

  /** What happens while the first tenant is measured. */
  private enum Turn {
    ALONE("alone"),
    FLOODED("while the other floods"),
    BESIDE("that flood beside the gateway");

    private final String label;

    Turn(String label) {
      this.label = label;
    }
  }

  private static final String SERVED = "/bytes/1024";

  @Option(names = "--rate", description = "Requests per second (default: ${DEFAULT-VALUE}).")
  private int rate = 200;

  @Option(
      names = "--kinds",
      split = ",",
      description =
          "Of the other's requests, each by a client: ${COMPLETION-CANDIDATES} (default:"
              + " ${DEFAULT-VALUE}).")
  private Set<Kind> kinds = EnumSet.of(Kind.ALLOWED, Kind.DENIED);

  @Option(
      names = "--flood-connections",
      description = "Of each of the other's clients (default: ${DEFAULT-VALUE}).")
  private int floodConnections = 32;

  @Mixin private Turns turns = new Turns(3, 4, 10);

  @Override
  void measure(Bench bench) throws IOException {
    Origin origin = bench.origin();
    Report report = bench.report();
    EgressPolicy policy =
        EgressPolicy.newBuilder()
            .addRules(
                EgressRule.newBuilder()
                    .setHost(origin.host())
                    .setHttp(HttpMatch.newBuilder().addPaths(SERVED)))
            .build();
    try (Api first = bench.api();
        Api second = Api.open(OtherTenant.registered(bench.environment()));
        MeshView mesh = bench.mesh();
        SpeakingSandbox victim =
            SpeakingSandbox.withSecret(first, bench.state(), origin.host(), policy);
        SpeakingSandbox flooder =
            SpeakingSandbox.withSecret(second, bench.state(), origin.host(), policy);
        Contenders victims = new Contenders();
        ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
        Flood flood = new Flood(threads);
        Flood beside = new Flood(threads)) {
      List<String> request = List.of("--path=" + SERVED, "--connections=8");
      victims.add(Ways.INTERCEPTED, victim.prefix(), origin.from(victim, request));
      victims.add(
          Ways.SUBSTITUTED,
          victim.prefix(),
          origin.from(victim, Origin.and(request, victim.authorization())));
      for (Kind kind : kinds) {
        flood.add(flooder.prefix(), origin.from(flooder, of(kind, flooder)));
      }
      beside.add(
          List.of(),
          origin.direct(List.of("--path=" + SERVED, "--connections=" + floodConnections)));
      report.line(
          "flood: %d requests per second of one tenant, %s requests of another over %d connections each as fast as they go, its client at the lowest priority; %d turns of %d s each"
              .formatted(rate, kinds, floodConnections, turns.rounds(), turns.seconds()));
      for (int turn = 0; turn < turns.warmUp(); turn++) {
        for (Map.Entry<String, ClientProcess> each : victims.all()) {
          var _ = each.getValue().full(turns.millis());
        }
        var _ = Flood.await(flood.begin(client -> client.full(turns.millis())));
      }
      for (Map.Entry<String, ClientProcess> each : victims.all()) {
        measure(report, mesh, each.getKey(), each.getValue(), flood, beside);
      }
    }
  }

  private List<String> of(Kind kind, SpeakingSandbox flooder) {
    String connections = "--connections=" + floodConnections;
    return switch (kind) {
      case ALLOWED -> List.of("--path=" + SERVED, connections);
      case DENIED -> List.of("--path=/denied", "--status=403", connections);
      case USES -> List.of("--path=" + SERVED, flooder.authorization(), connections);
    };
  }

  private void measure(
      Report report, MeshView mesh, String name, ClientProcess victim, Flood flood, Flood beside)
      throws IOException {
    Map<Turn, List<Percentiles>> times = new EnumMap<>(Turn.class);
    List<List<Double>> rates = new ArrayList<>();
    Map<String, Double> processors = new LinkedHashMap<>();
    for (int round = 0; round < turns.rounds(); round++) {
      long millis = turns.millis();
      add(times, Turn.ALONE, victim.at(rate, millis));
      MeshView.Moment before = mesh.now();
      ProcessorTime clients = ProcessorTime.of(flood.pids());
      CompletableFuture<List<Double>> going = flood.begin(client -> client.full(millis));
      add(times, Turn.FLOODED, victim.at(rate, millis));
      List<Double> reached = Flood.await(going);
      Cost.between(before, mesh.now(), 1)
          .millis()
          .forEach((part, used) -> processors.merge(part, used, Double::sum));
      processors.merge(
          "the flood's clients", ProcessorTime.of(flood.pids()).millisSince(clients), Double::sum);
      rates.add(reached);
      int passed =
          (int) Math.round(reached.stream().mapToDouble(Double::doubleValue).max().orElse(1));
      going = beside.begin(client -> client.at(Math.max(passed, 1), millis));
      add(times, Turn.BESIDE, victim.at(rate, millis));
      var _ = Flood.await(going);
    }
    report.line("");
    report.line(name);
    report.line(Percentiles.HEADING);
    String key = Comparison.key(name);
    for (Turn turn : Turn.values()) {
      report.times(
          key + "_" + turn.name().toLowerCase(Locale.ROOT), turn.label, middle(times, turn));
    }
    double flooded = middle(times, Turn.FLOODED).p99();
    report.number(
        key + "_p99_times_alone",
        "p99 flooded, times alone",
        flooded / middle(times, Turn.ALONE).p99(),
        "",
        Goal.atMost(1.1));
    report.number(
        key + "_p99_times_beside",
        "p99 flooded, times beside",
        flooded / middle(times, Turn.BESIDE).p99(),
        "");
    int at = 0;
    for (Kind kind : kinds) {
      int place = at++;
      String what = kind.name().toLowerCase(Locale.ROOT);
      report.number(
          key + "_flood_" + what,
          "the flood: " + what,
          rates.stream().mapToDouble(all -> all.get(place)).average().orElse(0),
          "requests/s");
    }
    processors.forEach((part, used) ->
        report.number(
            key + "_processors_" + Comparison.key(part),
            "processors meanwhile: " + part,
            used / (turns.rounds() * turns.seconds() * 1000.0),
            ""));
  }

  private static void add(
      Map<Turn, List<Percentiles>> times, Turn turn, LoadClient.Round measured) {
    times.computeIfAbsent(turn, _ -> new ArrayList<>()).add(measured.times());
  }

  /** The turn with the median p99. */
  private static Percentiles middle(Map<Turn, List<Percentiles>> times, Turn turn) {
    List<Percentiles> all =
        times.getOrDefault(turn, List.of()).stream()
            .sorted(Comparator.comparingDouble(Percentiles::p99))
            .toList();
    return all.get(all.size() / 2);
  }
}
