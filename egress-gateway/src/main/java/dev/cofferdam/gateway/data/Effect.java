package dev.cofferdam.gateway.data;

import dev.cofferdam.v1.DataDetector;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

/**
 * What became of what was found in one request: of a bounded number, for meters.
 *
 * @param detector {@code card_numbers}; of whatever pattern of a tenant's, {@code pattern}
 */
public record Effect(String detector, Outcome outcome) {
  /** What a rule did. */
  public enum Outcome {
    REPORTED,
    REDACTED,
    REFUSED
  }

  static final String PATTERN = "pattern";

  /** Each that there may be. */
  public static List<Effect> all() {
    List<Effect> all = new ArrayList<>();
    Stream.concat(
            Arrays.stream(DataDetector.values())
                .filter(kind ->
                    kind != DataDetector.DATA_DETECTOR_UNSPECIFIED
                        && kind != DataDetector.UNRECOGNIZED)
                .map(Detector::name),
            Stream.of(PATTERN))
        .forEach(detector -> {
          for (Outcome outcome : Outcome.values()) {
            all.add(new Effect(detector, outcome));
          }
        });
    return List.copyOf(all);
  }
}
