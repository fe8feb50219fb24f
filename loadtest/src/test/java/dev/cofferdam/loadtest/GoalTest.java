package dev.cofferdam.loadtest;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class GoalTest {
  @Test
  void aBoundItselfReachesIt() {
    assertThat(Goal.atLeast(0.5).of(0.5)).isEqualTo("goal: at least 0.5, reached");
    assertThat(Goal.atMost(300).of(300)).isEqualTo("goal: at most 300, reached");
  }

  @Test
  void whatIsOnTheOtherSideMissesIt() {
    assertThat(Goal.atLeast(0.5).of(0.499)).isEqualTo("goal: at least 0.5, missed");
    assertThat(Goal.atMost(1.1).of(1.11)).isEqualTo("goal: at most 1.1, missed");
    assertThat(Goal.atMost(1.1).of(Double.NaN)).isEqualTo("goal: at most 1.1, missed");
  }
}
