package dev.cofferdam.node.sandbox;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.node.sandbox.Fencing.Start;
import dev.cofferdam.node.sandbox.SandboxState.Ended;
import dev.cofferdam.node.sandbox.SandboxState.Removing;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class FencingTest {
  @Test
  void onlyTheHighestEpochIsObeyed() {
    assertThat(Fencing.start(null, 1)).isEqualTo(new Start.Begin());
    assertThat(Fencing.start(new Ended(5, false), 4)).isEqualTo(new Start.Stale(5));
    assertThat(Fencing.start(new Ended(5, true), 4)).isEqualTo(new Start.Stale(5));
    assertThat(Fencing.start(new Ended(5, false), 6)).isEqualTo(new Start.Begin());
    assertThat(Fencing.start(new Removing(5, 1, Optional.empty()), 6))
        .isEqualTo(new Start.Replace());
  }

  @Test
  void anEpochThatEndedStartsAgainOnlyWhereItsStartFailed() {
    assertThat(Fencing.start(new Ended(5, false), 5)).isEqualTo(new Start.Stale(5));
    assertThat(Fencing.start(new Ended(5, true), 5)).isEqualTo(new Start.Begin());
    assertThat(Fencing.start(new Removing(5, 1, Optional.empty()), 5))
        .isEqualTo(new Start.Stale(5));
  }

  @Test
  void epochsAreUnsigned() {
    assertThat(Fencing.start(new Ended(5, false), -1L)).isEqualTo(new Start.Begin());
    assertThat(Fencing.staleRemove(new Ended(-1L, false), 5)).isTrue();
    assertThat(Fencing.staleRemove(new Ended(5, false), 5)).isFalse();
    assertThat(Fencing.staleRemove(null, 1)).isFalse();
  }
}
