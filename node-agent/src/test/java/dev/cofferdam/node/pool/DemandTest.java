package dev.cofferdam.node.pool;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.time.Duration;
import java.util.Set;
import org.junit.jupiter.api.Test;

class DemandTest {
  private static final long MINUTE = Duration.ofMinutes(1).toNanos();

  private final Demand demand = new Demand();

  @Test
  void claimsCountAndFade() {
    assertThat(demand.of("a", 0)).isZero();
    demand.claimed("a", 0);
    demand.claimed("a", 0);
    assertThat(demand.of("a", 0)).isEqualTo(2);
    assertThat(demand.of("a", MINUTE)).isCloseTo(1, within(1e-9));
    demand.claimed("a", MINUTE);
    assertThat(demand.of("a", 2 * MINUTE)).isCloseTo(1, within(1e-9));
    assertThat(demand.of("b", 0)).isZero();
  }

  @Test
  void templatesThatAreGoneAreForgotten() {
    demand.claimed("a", 0);
    demand.claimed("b", 0);
    demand.keep(Set.of("b"));
    assertThat(demand.of("a", 0)).isZero();
    assertThat(demand.of("b", 0)).isEqualTo(1);
  }
}
