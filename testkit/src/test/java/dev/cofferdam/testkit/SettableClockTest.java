package dev.cofferdam.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.time.Instant;
import org.junit.jupiter.api.Test;

class SettableClockTest {
  @Test
  void movesOnlyWhenTold() {
    SettableClock clock = new SettableClock(Instant.EPOCH);
    assertThat(clock.instant()).isEqualTo(Instant.EPOCH);
    clock.advance(Duration.ofSeconds(3));
    assertThat(clock.instant()).isEqualTo(Instant.ofEpochSecond(3));
    clock.set(Instant.EPOCH.minusSeconds(1));
    assertThat(clock.instant()).isEqualTo(Instant.ofEpochSecond(-1));
  }

  @Test
  void doesNotAdvanceBackwards() {
    assertThatThrownBy(() -> SettableClock.fixed().advance(Duration.ofNanos(-1)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("PT-0.000000001S");
  }
}
