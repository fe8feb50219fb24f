package dev.cofferdam.gateway.data;

import com.google.re2j.Pattern;
import dev.cofferdam.kit.egress.DataRuleSpec;
import dev.cofferdam.v1.DataAction;
import dev.cofferdam.v1.DataDetector;
import java.util.ArrayList;
import java.util.List;

/**
 * One that was compiled.
 *
 * @param steps that it costs for each byte, at most
 */
record DataRule(List<Named> detectors, DataAction action, boolean headers, int steps) {
  /** Of a search: each match of a pattern may have cost a look to the text's end. */
  private static final int REDACTED_STEPS = 2048;

  /**
   * @param kind the detector; of a pattern without its number
   * @param mostRedacted how many matches of one search are put out; more of them refuse
   */
  record Named(Finding finding, String kind, Detector detector, int mostRedacted) {}

  static DataRule compile(DataRuleSpec spec) {
    List<Named> named = new ArrayList<>();
    int steps = spec.steps();
    for (DataDetector kind : spec.detectors()) {
      named.add(
          new Named(
              new Finding(spec.number(), Detector.name(kind)),
              Detector.name(kind),
              Detector.of(kind),
              Integer.MAX_VALUE));
      steps += Detector.steps(kind);
    }
    int number = 1;
    for (Pattern pattern : spec.patterns()) {
      named.add(
          new Named(
              new Finding(spec.number(), Effect.PATTERN + "-" + number++),
              Effect.PATTERN,
              Detector.of(pattern),
              Math.max(1, REDACTED_STEPS / pattern.programSize())));
    }
    return new DataRule(List.copyOf(named), spec.action(), spec.headers(), steps);
  }
}
