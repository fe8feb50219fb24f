package dev.cofferdam.node.pool;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.node.pool.PoolPlan.Reason;
import dev.cofferdam.node.pool.PoolPlan.Shelf;
import dev.cofferdam.node.pool.PoolPlan.Step;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class PoolPlanTest {
  private static final PoolConfig CONFIG = new PoolConfig(4, 2, 1000, 500);
  private static final long PLENTY = 100_000;

  @Test
  void oneOfEachIsThereForATemplateThatNobodyAskedFor() {
    assertThat(next(shelf("a", 0, 0, 0))).contains(new Step.Start("a"));
    assertThat(next(shelf("a", 0, 0, 1))).contains(new Step.Restore("a"));
    assertThat(next(shelf("a", 0, 1, 0))).contains(new Step.Start("a"));
    assertThat(next(shelf("a", 0, 1, 1))).isEmpty();
  }

  @Test
  void demandRaisesWhatIsHeldUpToTheBound() {
    assertThat(next(shelf("a", 2.5, 2, 2))).contains(new Step.Restore("a"));
    assertThat(next(shelf("a", 50, 4, 2))).isEmpty();
    assertThat(PoolPlan.missing(CONFIG, List.of(shelf("a", 50, 1, 0)))).isEqualTo(5);
  }

  @Test
  void whatFewerAskForIsGivenUp() {
    assertThat(next(shelf("a", 0.9, 2, 1))).contains(new Step.Drop("a", Reason.SURPLUS));
    assertThat(next(shelf("a", 0, 1, 2))).contains(new Step.Drop("a", Reason.SURPLUS));
  }

  @Test
  void aMachineOnItsWayToBeRestoredIsNoneTooMany() {
    assertThat(next(shelf("a", 0, 0, 2))).contains(new Step.Restore("a"));
  }

  @Test
  void theTemplateThatIsShortestOfWhatItNeedsComesFirst() {
    assertThat(next(shelf("a", 1, 1, 1), shelf("b", 9, 2, 1))).contains(new Step.Restore("b"));
    assertThat(next(shelf("a", 9, 3, 1), shelf("b", 0, 0, 0))).contains(new Step.Start("b"));
  }

  @Test
  void theBudgetHoldsForAllTemplatesTogether() {
    PoolConfig small = new PoolConfig(4, 2, PoolConfig.RESTORED_MIB + PoolConfig.WAITING_MIB, 0);
    List<Shelf> full = List.of(shelf("a", 9, 1, 1), shelf("b", 9, 0, 0));
    assertThat(PoolPlan.next(small, full, PLENTY, true)).isEmpty();
    List<Shelf> room = List.of(shelf("a", 9, 1, 0), shelf("b", 9, 0, 0));
    // Room for a VMM that waits, but for none that is restored.
    assertThat(PoolPlan.next(small, room, PLENTY, true)).contains(new Step.Start("a"));
  }

  @Test
  void nothingIsMadeThatTheHostHasNoMemoryFor() {
    long little = CONFIG.hostReserveMib() + PoolConfig.WAITING_MIB - 1L;
    assertThat(PoolPlan.next(CONFIG, List.of(shelf("a", 0, 0, 0)), little, true)).isEmpty();
  }

  @Test
  void aHostThatIsShortOfMemoryGetsItBack() {
    List<Shelf> shelves = List.of(shelf("a", 9, 1, 1), shelf("b", 0, 1, 1));
    assertThat(PoolPlan.next(CONFIG, shelves, CONFIG.hostReserveMib() - 1, true))
        .contains(new Step.Drop("b", Reason.MEMORY));
    assertThat(PoolPlan.next(CONFIG, List.of(shelf("a", 9, 0, 0)), 0, true)).isEmpty();
  }

  @Test
  void ofEqualsTheFirstIsMadeFirstAndGivenUpLast() {
    List<Shelf> none = List.of(shelf("b", 0, 0, 0), shelf("a", 0, 0, 0));
    assertThat(PoolPlan.next(CONFIG, none, PLENTY, true)).contains(new Step.Start("b"));
    List<Shelf> full = List.of(shelf("b", 0, 1, 1), shelf("a", 0, 1, 1));
    assertThat(PoolPlan.next(CONFIG, full, CONFIG.hostReserveMib() - 1, true))
        .contains(new Step.Drop("a", Reason.MEMORY));
  }

  @Test
  void withoutASlotOnlyWhatHasOneGoesOn() {
    assertThat(PoolPlan.next(CONFIG, List.of(shelf("a", 0, 0, 1)), PLENTY, false))
        .contains(new Step.Restore("a"));
    assertThat(PoolPlan.next(CONFIG, List.of(shelf("a", 0, 0, 0)), PLENTY, false)).isEmpty();
  }

  @Test
  void aPoolOfNothingHoldsNothing() {
    PoolConfig none = new PoolConfig(0, 0, 1000, 0);
    assertThat(PoolPlan.next(none, List.of(shelf("a", 9, 0, 0)), PLENTY, true)).isEmpty();
    assertThat(PoolPlan.missing(none, List.of(shelf("a", 9, 0, 0)))).isZero();
  }

  /** Half of 1,000 MiB is the tenants': 250 each of two that want more. */
  @Test
  void tenantsShareHalfOfTheMemoryEvenly() {
    PoolConfig many = new PoolConfig(9, 0, 1000, 0);
    Shelf hog = new Shelf("h1", "hog", 9, 3, 0);
    // It is alone: all of the half is its own.
    assertThat(PoolPlan.next(many, List.of(hog), PLENTY, true)).contains(new Step.Start("h1"));
    Shelf full = new Shelf("h1", "hog", 9, 6, 0);
    assertThat(PoolPlan.next(many, List.of(full), PLENTY, true)).isEmpty();

    Shelf meek = new Shelf("m1", "meek", 9, 0, 0);
    assertThat(PoolPlan.next(many, List.of(full, meek), PLENTY, true))
        .contains(new Step.Drop("h1", Reason.SHARE));
    // Many templates make no larger share.
    List<Shelf> split =
        List.of(new Shelf("h1", "hog", 9, 2, 0), new Shelf("h2", "hog", 9, 2, 0), meek);
    assertThat(PoolPlan.next(many, split, PLENTY, true))
        .contains(new Step.Drop("h1", Reason.SHARE));
    assertThat(PoolPlan.next(many, List.of(new Shelf("h1", "hog", 9, 3, 0), meek), PLENTY, true))
        .contains(new Step.Start("m1"));
    List<Shelf> even = List.of(new Shelf("h1", "hog", 9, 3, 0), new Shelf("m1", "meek", 9, 3, 0));
    assertThat(PoolPlan.next(many, even, PLENTY, true)).isEmpty();
  }

  @Test
  void whatOneTenantLeavesOfItsShareAnotherMayHave() {
    PoolConfig many = new PoolConfig(9, 0, 1000, 0);
    List<Shelf> shelves =
        List.of(new Shelf("h1", "hog", 9, 4, 0), new Shelf("m1", "meek", 0.5, 1, 0));
    assertThat(PoolPlan.next(many, shelves, PLENTY, true)).contains(new Step.Start("h1"));
  }

  @Test
  void theOperatorsHaveWhatTenantsMayNotTake() {
    PoolConfig many = new PoolConfig(9, 0, 1000, 0);
    List<Shelf> shelves = List.of(shelf("o", 9, 6, 0), new Shelf("h1", "hog", 99, 6, 0));
    assertThat(PoolPlan.next(many, shelves, PLENTY, true)).contains(new Step.Start("o"));
  }

  @Test
  void eachOfManyTenantsHasOneMachineWhereThereIsRoom() {
    PoolConfig many = new PoolConfig(9, 1, 1000, 0);
    List<Shelf> shelves = new ArrayList<>();
    for (int tenant = 0; tenant < 10; tenant++) {
      shelves.add(new Shelf("t" + tenant, "tenant" + tenant, 5, tenant < 5 ? 1 : 0, 0));
    }
    // A share of 50 MiB is less than a machine.
    assertThat(PoolPlan.next(many, shelves, PLENTY, true)).contains(new Step.Start("t5"));
    shelves.set(5, new Shelf("t5", "tenant5", 5, 0, 1));
    assertThat(PoolPlan.next(many, shelves, PLENTY, true)).contains(new Step.Restore("t5"));
    shelves.set(5, new Shelf("t5", "tenant5", 5, 1, 0));
    shelves.set(6, new Shelf("t6", "tenant6", 5, 0, 1));
    shelves.set(7, new Shelf("t7", "tenant7", 5, 0, 1));
    assertThat(PoolPlan.next(many, shelves, PLENTY, true))
        .as("six machines and two VMMs are 496 MiB of 500")
        .isEmpty();
  }

  @Test
  void nothingIsHeldOfATenantsTemplateThatNobodyAskedForLately() {
    assertThat(next(new Shelf("t", "tenant", 0.2, 0, 0))).isEmpty();
    assertThat(next(new Shelf("t", "tenant", 0.2, 0, 1)))
        .contains(new Step.Drop("t", Reason.SURPLUS));
    assertThat(next(new Shelf("t", "tenant", 0.3, 0, 0))).contains(new Step.Start("t"));
  }

  private static Shelf shelf(String template, double demand, int restored, int waiting) {
    return new Shelf(template, "", demand, restored, waiting);
  }

  private static Optional<Step> next(Shelf... shelves) {
    return PoolPlan.next(CONFIG, List.of(shelves), PLENTY, true);
  }
}
