package dev.cofferdam.node.slot;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Instant;
import org.junit.jupiter.api.Test;

class OccupantsTest {
  private long now = 1_000_000;
  private final Occupants occupants = new Occupants(() -> Instant.ofEpochMilli(now));

  @Test
  void whatASlotDidIsTheDoingOfWhoWasInItThen() {
    assertThat(occupants.at(1, at(now))).isEmpty();
    occupants.enter(1, "a");
    now = 2_000_000;
    occupants.leave(1);
    now = 2_010_000;
    occupants.enter(1, "b");

    assertThat(occupants.at(1, at(999_999))).isEmpty();
    assertThat(occupants.at(1, at(1_000_000))).contains("a");
    assertThat(occupants.at(1, at(2_000_000))).contains("a");
    assertThat(occupants.at(1, at(2_000_001))).isEmpty();
    assertThat(occupants.at(1, at(2_009_999))).isEmpty();
    assertThat(occupants.at(1, at(2_010_000))).contains("b");
    assertThat(occupants.at(1, at(9_000_000))).contains("b");
    assertThat(occupants.at(2, at(1_500_000))).isEmpty();
  }

  @Test
  void aMillisecondIsWholeForWhoEnteredInIt() {
    Occupants finer = new Occupants(() -> Instant.ofEpochMilli(5).plusNanos(999_999));
    finer.enter(1, "a");
    assertThat(finer.at(1, at(5))).contains("a");
  }

  @Test
  void whoWasFoundHasBeenThereAllAlong() {
    occupants.found(1, "a");
    assertThat(occupants.at(1, at(1))).contains("a");
  }

  @Test
  void whoLeftIsForgottenAfterAWhile() {
    occupants.enter(1, "a");
    occupants.leave(1);
    occupants.enter(2, "b");
    now += Occupants.KEPT.toMillis();
    occupants.enter(3, "c");
    assertThat(occupants.at(1, at(1_000_000))).contains("a");
    now += 1;
    occupants.enter(4, "d");
    assertThat(occupants.at(1, at(1_000_000))).isEmpty();
    assertThat(occupants.at(2, at(1_000_000))).contains("b");
  }

  @Test
  void leavingAnEmptySlotAndLeavingTwiceChangeNothing() {
    occupants.leave(1);
    occupants.enter(1, "a");
    occupants.leave(1);
    now += 1;
    occupants.leave(1);
    assertThat(occupants.at(1, at(now - 1))).contains("a");
    assertThat(occupants.at(1, at(now))).isEmpty();
  }

  private static Instant at(long millis) {
    return Instant.ofEpochMilli(millis);
  }
}
