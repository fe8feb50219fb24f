package dev.cofferdam.loadtest;

import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * What requests cost, by part of the mesh.
 *
 * @param millis of processor time, by process, of all requests together
 * @param broker its answers to uses of secrets, as the gateway waited for them
 */
record Cost(long requests, Map<String, Double> millis, Histogram broker) {
  private static final String MATERIALISE = "cofferdam_gateway_materialise_seconds";

  static Cost between(MeshView.Moment before, MeshView.Moment after, long requests) {
    Map<String, Double> millis = new LinkedHashMap<>();
    after
        .processors()
        .forEach((part, time) ->
            millis.put(
                part,
                time.millisSince(
                    before.processors().getOrDefault(part, new ProcessorTime(Map.of())))));
    return new Cost(
        requests,
        millis,
        Histogram.gained(before.gateway(), after.gateway(), MATERIALISE, "outcome=\"given\""));
  }

  Cost plus(Cost other) {
    Map<String, Double> sum = new LinkedHashMap<>(millis);
    other.millis.forEach((part, more) -> sum.merge(part, more, Double::sum));
    return new Cost(requests + other.requests, sum, broker.plus(other.broker));
  }

  /** Milliseconds of processor time of one request. */
  Map<String, Double> each() {
    Map<String, Double> each = new LinkedHashMap<>();
    millis.forEach((part, all) -> each.put(part, requests == 0 ? 0 : all / requests));
    return each;
  }

  /**
   * @param key of the row that it belongs to
   */
  void tell(Report report, String key) {
    report.fact(key + "_processor_ms", each());
    report.line(
        each().entrySet().stream()
            .map(part -> String.format(Locale.ROOT, "%s %.2f", part.getKey(), part.getValue()))
            .collect(Collectors.joining(", ", "  processor ms per request: ", "")));
    if (broker.count() > 0) {
      report.fact(
          key + "_broker_ms",
          Map.of("mean", broker.mean(), "p50", broker.within(0.5), "p99", broker.within(0.99)));
      report.line(
          String.format(
              Locale.ROOT,
              "  the broker's answer to a use: mean %.2f ms, half within %.0f ms, 99 %% within %.0f"
                  + " ms",
              broker.mean(),
              broker.within(0.5),
              broker.within(0.99)));
    }
  }
}
