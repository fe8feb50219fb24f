package dev.cofferdam.node.slot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.node.fake.Acts;
import dev.cofferdam.node.fake.FakeHelper;
import dev.cofferdam.node.fake.Kernel;
import dev.cofferdam.node.helper.HelperException;
import dev.cofferdam.node.helper.HelperException.Code;
import java.nio.file.Path;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayDeque;
import java.util.Queue;
import java.util.Set;
import org.junit.jupiter.api.Test;

class SlotPoolTest {
  private final Kernel kernel = new Kernel();
  private final Acts acts = new Acts();
  private final Queue<Runnable> later = new ArrayDeque<>();
  private final Occupants occupants = new Occupants(InstantSource.system());
  private final SlotPool slots =
      new SlotPool(
          new FakeHelper(
              kernel, acts, Path.of("/s"), start -> kernel.start(start.slot(), "", () -> {})),
          4,
          2,
          later::add,
          occupants);

  @Test
  void sparesAreMadeAheadSoThatAClaimAsksNobody() {
    slots.recover(Set.of());
    assertThat(kernel.slots()).containsExactly(1, 2);
    int before = acts.done().size();
    assertThat(slots.claim()).hasValueSatisfying(slot -> assertThat(slot.number()).isEqualTo(1));
    assertThat(acts.done()).hasSize(before);

    runLater();
    assertThat(kernel.slots()).containsExactly(1, 2, 3);
    assertThat(slots.available()).isEqualTo(3);
  }

  @Test
  void aReleasedSlotIsDestroyedBeforeItIsUsedAgain() {
    slots.recover(Set.of());
    Slot slot = slots.claim().orElseThrow();
    slots.release(slot.number());
    assertThat(kernel.slots()).doesNotContain(slot.number());
    slots.release(slot.number());
    assertThat(acts.done()).containsOnlyOnce("slot.destroy");
    runLater();
    assertThat(slots.available()).isEqualTo(4);
  }

  @Test
  void allAreGivenOnceAndThenNone() {
    slots.recover(Set.of());
    assertThat(
            java.util.stream.Stream.generate(slots::claim)
                .limit(4)
                .map(slot -> slot.orElseThrow().number()))
        .containsExactlyInAnyOrder(1, 2, 3, 4);
    assertThat(slots.claim()).isEmpty();
    assertThat(slots.available()).isZero();
  }

  @Test
  void oneThatCannotBeDestroyedStaysOutOfUseUntilItCan() {
    slots.recover(Set.of());
    Slot slot = slots.claim().orElseThrow();
    acts.fail("slot.destroy", () -> new HelperException(Code.FAILED, "busy"));
    assertThatThrownBy(() -> slots.release(slot.number())).isInstanceOf(HelperException.class);
    runLater();
    for (int i = 0; i < 3; i++) {
      assertThat(slots.claim())
          .hasValueSatisfying(other -> assertThat(other.number()).isNotEqualTo(slot.number()));
    }
    assertThat(slots.claim()).isEmpty();

    acts.heal();
    slots.maintain();
    assertThat(slots.claim())
        .hasValueSatisfying(again -> assertThat(again.number()).isEqualTo(slot.number()));
  }

  @Test
  void oneThatCannotBeDestroyedKeepsNeitherOthersNorSparesBack() {
    slots.recover(Set.of());
    Slot first = slots.claim().orElseThrow();
    Slot second = slots.claim().orElseThrow();
    runLater();
    occupants.enter(first.number(), "sb-a");
    occupants.enter(second.number(), "sb-b");
    acts.fail("slot.destroy", () -> new HelperException(Code.FAILED, "busy"));
    assertThatThrownBy(() -> slots.release(second.number())).isInstanceOf(HelperException.class);
    assertThatThrownBy(() -> slots.release(first.number())).isInstanceOf(HelperException.class);
    acts.fail("slot.destroy." + first.number(), () -> new HelperException(Code.FAILED, "busy"));

    slots.maintain();

    assertThat(kernel.slots()).contains(first.number()).doesNotContain(second.number());
    assertThat(slots.available()).isEqualTo(3);
    Instant afterwards = Instant.now().plusMillis(1);
    assertThat(occupants.at(first.number(), afterwards)).contains("sb-a");
    assertThat(occupants.at(second.number(), afterwards)).isEmpty();
  }

  @Test
  void sparesAreMadeWhileNothingCanBeDestroyed() {
    kernel.createSlot(1);
    acts.fail("slot.destroy", () -> new HelperException(Code.FAILED, "busy"));

    slots.recover(Set.of());

    assertThat(kernel.slots()).containsExactly(1, 2, 3);
  }

  @Test
  void aDrainedNodeGivesItsSparesBackAndMakesThemAgainAfterwards() {
    slots.recover(Set.of());
    Slot kept = slots.claim().orElseThrow();
    runLater();
    slots.drain(true);
    runLater();
    assertThat(kernel.slots()).containsExactly(kept.number());
    slots.release(kept.number());
    runLater();
    assertThat(kernel.slots()).as("none is made while it is drained").isEmpty();
    assertThat(slots.available()).as("all could be claimed").isEqualTo(4);

    slots.drain(false);
    runLater();
    assertThat(kernel.slots()).containsExactly(1, 2);
  }

  @Test
  void aSpareThatCannotBeGivenBackIsTriedAgain() {
    slots.recover(Set.of());
    acts.fail("slot.destroy", () -> new HelperException(Code.FAILED, "busy"));
    slots.drain(true);
    runLater();
    acts.heal();
    slots.maintain();
    assertThat(kernel.slots()).isEmpty();
    assertThat(slots.available()).isEqualTo(4);
  }

  @Test
  void whatAnEarlierProcessLeftIsDestroyedUnlessItIsInUse() {
    kernel.createSlot(1);
    kernel.createSlot(3);
    kernel.createSlot(200);
    slots.recover(Set.of(3));
    assertThat(kernel.slots()).containsExactly(1, 2, 3);
    assertThat(acts.done()).filteredOn("slot.destroy"::equals).hasSize(2);
    assertThat(slots.adopt(3, "sb-a").address()).isEqualTo("100.80.0.3");
    assertThat(occupants.at(3, Instant.now())).contains("sb-a");
    assertThat(slots.used()).isEqualTo(1);
  }

  @Test
  void aSlotThatCannotBeMadeIsNotLost() {
    acts.fail("slot.create", () -> new HelperException(Code.FAILED, "no memory"));
    assertThatThrownBy(slots::claim).isInstanceOf(HelperException.class);
    acts.heal();
    slots.maintain();
    assertThat(slots.available()).isEqualTo(4);
  }

  private void runLater() {
    while (!later.isEmpty()) {
      later.remove().run();
    }
  }
}
