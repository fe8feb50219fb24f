package dev.cofferdam.loadtest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;

class PercentilesTest {
  @Test
  void areMeasuredValuesByNearestRank() {
    long[] nanos = LongStream.rangeClosed(1, 200).map(n -> (201 - n) * 1_000_000).toArray();
    assertThat(Percentiles.ofNanos(nanos)).isEqualTo(new Percentiles(200, 100, 180, 198, 200));
  }

  @Test
  void ofOneValueAreThatValue() {
    assertThat(Percentiles.ofNanos(new long[] {1_500_000}))
        .isEqualTo(new Percentiles(1, 1.5, 1.5, 1.5, 1.5));
  }

  @Test
  void ofNothingAreRefused() {
    assertThatThrownBy(() -> Percentiles.ofNanos(new long[0]))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("nothing was measured");
  }
}
