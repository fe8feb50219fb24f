package dev.cofferdam.loadtest;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Map;
import org.junit.jupiter.api.Test;

class HistogramTest {
  private static final Map<String, Double> BEFORE =
      Map.of(
          "a_seconds_count{outcome=\"given\"}", 10.0,
          "a_seconds_sum{outcome=\"given\"}", 1.0,
          "a_seconds_bucket{outcome=\"given\",le=\"0.001\"}", 10.0,
          "a_seconds_bucket{outcome=\"given\",le=\"0.002\"}", 10.0,
          "a_seconds_bucket{outcome=\"given\",le=\"+Inf\"}", 10.0);
  private static final Map<String, Double> AFTER =
      Map.of(
          "a_seconds_count{outcome=\"given\"}", 110.0,
          "a_seconds_sum{outcome=\"given\"}", 1.25,
          "a_seconds_bucket{outcome=\"given\",le=\"0.001\"}", 70.0,
          "a_seconds_bucket{outcome=\"given\",le=\"0.002\"}", 109.0,
          "a_seconds_bucket{outcome=\"given\",le=\"+Inf\"}", 110.0,
          "a_seconds_count{outcome=\"refused\"}", 7.0,
          "a_seconds_max{outcome=\"given\"}", 9.0,
          "ba_seconds_count{outcome=\"given\"}", 7.0);

  private static Histogram gained() {
    return Histogram.gained(BEFORE, AFTER, "a_seconds", "outcome=\"given\"");
  }

  @Test
  void holdsWhatCameMeanwhileUnderItsLabelAlone() {
    assertThat(gained().count()).isEqualTo(100);
    assertThat(gained().mean()).isEqualTo(2.5);
  }

  @Test
  void tellsTheBoundThatHoldsAShare() {
    assertThat(gained().within(0.5)).isEqualTo(1);
    assertThat(gained().within(0.99)).isEqualTo(2);
    assertThat(gained().within(1)).isInfinite();
  }

  @Test
  void addsUp() {
    Histogram twice = gained().plus(gained());
    assertThat(twice.count()).isEqualTo(200);
    assertThat(twice.mean()).isEqualTo(2.5);
    assertThat(twice.within(0.99)).isEqualTo(2);
  }

  @Test
  void isEmptyWhereNothingWasMeasured() {
    Histogram none = Histogram.gained(AFTER, AFTER, "a_seconds", "outcome=\"given\"");
    assertThat(none.count()).isZero();
    assertThat(none.mean()).isZero();
  }
}
