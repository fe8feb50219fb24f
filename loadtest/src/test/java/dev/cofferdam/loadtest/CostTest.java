package dev.cofferdam.loadtest;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Map;
import org.junit.jupiter.api.Test;

class CostTest {
  private static MeshView.Moment moment(ProcessorTime gateway) {
    return new MeshView.Moment(Map.of("egress-gateway", gateway), Map.of());
  }

  @Test
  void isProcessorTimeByRequest() {
    ProcessorTime before = new ProcessorTime(Map.of(1L, 5_000_000L, 2L, 9_000_000L));
    // One thread ended, one is new.
    ProcessorTime after = new ProcessorTime(Map.of(1L, 15_000_000L, 3L, 2_000_000L));
    Cost cost = Cost.between(moment(before), moment(after), 4);
    assertThat(cost.each()).containsExactly(Map.entry("egress-gateway", 3.0));
    assertThat(cost.plus(cost).each()).containsExactly(Map.entry("egress-gateway", 3.0));
    assertThat(cost.broker().count()).isZero();
  }
}
