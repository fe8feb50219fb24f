package dev.cofferdam.deploy.supervise;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

final class BackoffTest {
  private static final Duration AT_ONCE = Duration.ofMillis(10);

  @Test
  void doublesUpToTheLongest() {
    List<Long> waits = new ArrayList<>();
    Duration wait = Duration.ZERO;
    for (int i = 0; i < 7; i++) {
      wait = Backoff.STANDARD.after(wait, AT_ONCE);
      waits.add(wait.toMillis());
    }
    assertThat(waits).containsExactly(200L, 400L, 800L, 1600L, 3200L, 5000L, 5000L);
  }

  @Test
  void beginsAnewAfterASteadyRun() {
    assertThat(Backoff.STANDARD.after(Duration.ofSeconds(5), Duration.ofSeconds(20)))
        .isEqualTo(Duration.ofMillis(200));
  }

  @Test
  void refusesARangeThatDoesNotRise() {
    assertThatThrownBy(() -> new Backoff(Duration.ofSeconds(2), Duration.ofSeconds(1), AT_ONCE))
        .hasMessageContaining("expected a rising range");
    assertThatThrownBy(() -> new Backoff(Duration.ZERO, Duration.ofSeconds(1), AT_ONCE))
        .isInstanceOf(IllegalArgumentException.class);
  }
}
