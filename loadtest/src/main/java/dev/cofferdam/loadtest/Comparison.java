package dev.cofferdam.loadtest;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Contenders in turns, so that whatever else the machine does meets all of them, and what one adds
 * to, or is times, another.
 */
final class Comparison {
  private final Report report;
  private final Contenders contenders;
  private final String base;
  private final int rounds;
  private final long millis;
  private String prefix = "";
  private Optional<MeshView> mesh = Optional.empty();
  private Set<String> costed = Set.of();
  private final Map<String, Cost> costs = new LinkedHashMap<>();

  /**
   * @param base the contender that the others are compared with
   * @param rounds turns of each, of which the median one counts
   * @param millis of a turn
   */
  Comparison(Report report, Contenders contenders, String base, int rounds, long millis) {
    this.report = report;
    this.contenders = contenders;
    this.base = base;
    this.rounds = rounds;
    this.millis = millis;
  }

  /** Its facts begin with this, where a report has several comparisons. */
  Comparison named(String name) {
    prefix = name + "_";
    return this;
  }

  /** Also tells what requests of these contenders cost which part of the mesh. */
  Comparison costing(MeshView view, Set<String> names) {
    mesh = Optional.of(view);
    costed = Set.copyOf(names);
    return this;
  }

  /** What a JVM has not compiled yet is nobody's steady state. */
  void warmUp(int turns) throws IOException {
    for (int turn = 0; turn < turns; turn++) {
      for (Map.Entry<String, ClientProcess> client : contenders.all()) {
        var _ = client.getValue().full(millis);
      }
    }
  }

  void at(int rate) throws IOException {
    Map<String, List<LoadClient.Round>> results = turns(client -> client.at(rate, millis));
    report.line("");
    report.line("at %d requests per second".formatted(rate));
    report.line(Percentiles.HEADING);
    Percentiles direct = middle(results, base);
    results.forEach((name, all) -> {
      Percentiles times = middle(results, name);
      String row = "%srate_%d_%s".formatted(prefix, rate, key(name));
      report.times(row, name, times);
      if (!name.equals(base)) {
        report.line(
            String.format(
                Locale.ROOT,
                "%-34s %7s %+9.2f %+9.2f %+9.2f",
                "  added",
                "",
                times.p50() - direct.p50(),
                times.p90() - direct.p90(),
                times.p99() - direct.p99()));
      }
      tellCost(name, row);
    });
  }

  /**
   * Throughput of each, and its ratio to the base.
   *
   * @param each what a request is in that unit
   */
  Map<String, Double> full(String unit, double each) throws IOException {
    Map<String, List<LoadClient.Round>> results = turns(client -> client.full(millis));
    report.line("");
    report.line("as fast as it goes");
    Map<String, Double> values = new LinkedHashMap<>();
    results.keySet().forEach(name -> values.put(name, each * throughput(results, name)));
    values.forEach((name, value) -> {
      String row = prefix + "full_" + key(name);
      report.number(row, name, value, unit);
      tellCost(name, row);
      if (!name.equals(base)) {
        report.number(
            prefix + "ratio_" + key(name),
            "  times direct",
            value / values.getOrDefault(base, 0.0),
            "");
      }
    });
    report.line("");
    return values;
  }

  /** How many times as fast one is as another, where both were measured. */
  void ratio(Map<String, Double> full, String one, String other, Goal goal) {
    if (full.containsKey(one) && full.containsKey(other)) {
      report.number(
          prefix + key(one) + "_times_" + key(other),
          one + ", times " + other,
          full.get(one) / full.get(other),
          "",
          goal);
    }
  }

  private void tellCost(String name, String row) {
    Cost cost = costs.get(name);
    if (cost != null) {
      cost.tell(report, row);
    }
  }

  private interface Turn {
    LoadClient.Round run(ClientProcess client) throws IOException;
  }

  private Map<String, List<LoadClient.Round>> turns(Turn turn) throws IOException {
    Map<String, List<LoadClient.Round>> results = new LinkedHashMap<>();
    costs.clear();
    for (int round = 0; round < rounds; round++) {
      for (Map.Entry<String, ClientProcess> client : contenders.all()) {
        results
            .computeIfAbsent(client.getKey(), name -> new ArrayList<>())
            .add(run(turn, client.getKey(), client.getValue()));
      }
    }
    return results;
  }

  private LoadClient.Round run(Turn turn, String name, ClientProcess client) throws IOException {
    if (mesh.isEmpty() || !costed.contains(name)) {
      return turn.run(client);
    }
    MeshView.Moment before = mesh.get().now();
    LoadClient.Round round = turn.run(client);
    Cost cost = Cost.between(before, mesh.get().now(), round.times().count());
    costs.merge(name, cost, Cost::plus);
    return round;
  }

  /**
   * The turn with the median p50: a turn that the machine disturbed does not speak for the rest.
   */
  private static Percentiles middle(Map<String, List<LoadClient.Round>> results, String name) {
    List<Percentiles> times =
        results.getOrDefault(name, List.of()).stream()
            .map(LoadClient.Round::times)
            .sorted(Comparator.comparingDouble(Percentiles::p50))
            .toList();
    return times.get(times.size() / 2);
  }

  private static double throughput(Map<String, List<LoadClient.Round>> results, String name) {
    List<Double> values =
        results.getOrDefault(name, List.of()).stream()
            .map(LoadClient.Round::perSecond)
            .sorted()
            .toList();
    return values.get(values.size() / 2);
  }

  static String key(String name) {
    return name.replaceAll("[^a-zA-Z0-9]+", "_").toLowerCase(Locale.ROOT);
  }
}
