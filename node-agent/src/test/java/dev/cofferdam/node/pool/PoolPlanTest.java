package dev.cofferdam.node.pool;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.node.pool.PoolPlan.Reason;
import dev.cofferdam.node.pool.PoolPlan.Shelf;
import dev.cofferdam.node.pool.PoolPlan.Step;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class PoolPlanTest {
  private static final PoolConfig CONFIG = new PoolConfig(4, 2, 1000, 500);
  private static final long PLENTY = 100_000;

  @Test
  void oneOfEachIsThereForATemplateThatNobodyAskedFor() {
    assertThat(next(new Shelf("a", 0, 0, 0))).contains(new Step.Start("a"));
    assertThat(next(new Shelf("a", 0, 0, 1))).contains(new Step.Restore("a"));
    assertThat(next(new Shelf("a", 0, 1, 0))).contains(new Step.Start("a"));
    assertThat(next(new Shelf("a", 0, 1, 1))).isEmpty();
  }

  @Test
  void demandRaisesWhatIsHeldUpToTheBound() {
    assertThat(next(new Shelf("a", 2.5, 2, 2))).contains(new Step.Restore("a"));
    assertThat(next(new Shelf("a", 50, 4, 2))).isEmpty();
    assertThat(PoolPlan.missing(CONFIG, List.of(new Shelf("a", 50, 1, 0)))).isEqualTo(5);
  }

  @Test
  void whatFewerAskForIsGivenUp() {
    assertThat(next(new Shelf("a", 0.9, 2, 1))).contains(new Step.Drop("a", Reason.SURPLUS));
    assertThat(next(new Shelf("a", 0, 1, 2))).contains(new Step.Drop("a", Reason.SURPLUS));
  }

  @Test
  void aMachineOnItsWayToBeRestoredIsNoneTooMany() {
    assertThat(next(new Shelf("a", 0, 0, 2))).contains(new Step.Restore("a"));
  }

  @Test
  void theTemplateThatIsShortestOfWhatItNeedsComesFirst() {
    assertThat(next(new Shelf("a", 1, 1, 1), new Shelf("b", 9, 2, 1)))
        .contains(new Step.Restore("b"));
    assertThat(next(new Shelf("a", 9, 3, 1), new Shelf("b", 0, 0, 0)))
        .contains(new Step.Start("b"));
  }

  @Test
  void theBudgetHoldsForAllTemplatesTogether() {
    PoolConfig small = new PoolConfig(4, 2, PoolConfig.RESTORED_MIB + PoolConfig.WAITING_MIB, 0);
    List<Shelf> full = List.of(new Shelf("a", 9, 1, 1), new Shelf("b", 9, 0, 0));
    assertThat(PoolPlan.next(small, full, PLENTY, true)).isEmpty();
    List<Shelf> room = List.of(new Shelf("a", 9, 1, 0), new Shelf("b", 9, 0, 0));
    // Room for a VMM that waits, but for none that is restored.
    assertThat(PoolPlan.next(small, room, PLENTY, true)).contains(new Step.Start("a"));
  }

  @Test
  void nothingIsMadeThatTheHostHasNoMemoryFor() {
    long little = CONFIG.hostReserveMib() + PoolConfig.WAITING_MIB - 1L;
    assertThat(PoolPlan.next(CONFIG, List.of(new Shelf("a", 0, 0, 0)), little, true)).isEmpty();
  }

  @Test
  void aHostThatIsShortOfMemoryGetsItBack() {
    List<Shelf> shelves = List.of(new Shelf("a", 9, 1, 1), new Shelf("b", 0, 1, 1));
    assertThat(PoolPlan.next(CONFIG, shelves, CONFIG.hostReserveMib() - 1, true))
        .contains(new Step.Drop("b", Reason.MEMORY));
    assertThat(PoolPlan.next(CONFIG, List.of(new Shelf("a", 9, 0, 0)), 0, true)).isEmpty();
  }

  @Test
  void ofEqualsTheFirstIsMadeFirstAndGivenUpLast() {
    List<Shelf> none = List.of(new Shelf("b", 0, 0, 0), new Shelf("a", 0, 0, 0));
    assertThat(PoolPlan.next(CONFIG, none, PLENTY, true)).contains(new Step.Start("b"));
    List<Shelf> full = List.of(new Shelf("b", 0, 1, 1), new Shelf("a", 0, 1, 1));
    assertThat(PoolPlan.next(CONFIG, full, CONFIG.hostReserveMib() - 1, true))
        .contains(new Step.Drop("a", Reason.MEMORY));
  }

  @Test
  void withoutASlotOnlyWhatHasOneGoesOn() {
    assertThat(PoolPlan.next(CONFIG, List.of(new Shelf("a", 0, 0, 1)), PLENTY, false))
        .contains(new Step.Restore("a"));
    assertThat(PoolPlan.next(CONFIG, List.of(new Shelf("a", 0, 0, 0)), PLENTY, false)).isEmpty();
  }

  @Test
  void aPoolOfNothingHoldsNothing() {
    PoolConfig none = new PoolConfig(0, 0, 1000, 0);
    assertThat(PoolPlan.next(none, List.of(new Shelf("a", 9, 0, 0)), PLENTY, true)).isEmpty();
    assertThat(PoolPlan.missing(none, List.of(new Shelf("a", 9, 0, 0)))).isZero();
  }

  private static Optional<Step> next(Shelf... shelves) {
    return PoolPlan.next(CONFIG, List.of(shelves), PLENTY, true);
  }
}
