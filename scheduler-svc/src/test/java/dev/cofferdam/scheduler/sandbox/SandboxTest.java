package dev.cofferdam.scheduler.sandbox;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.v1.EgressPolicy;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import org.junit.jupiter.api.Test;

class SandboxTest {
  private static final Instant LATER = Samples.NOW.plusSeconds(60);

  private final Sandbox starting = Samples.starting(1, "acme", "n1");
  private final Sandbox running =
      starting.started(Samples.started(Isolation.HARDWARE, 3), Samples.NOW).after();
  private final Sandbox stopping = running.stopping(EndCause.DELETED, "deleted").after();
  private final Sandbox ended = stopping.ended(Samples.NOW).after();

  @Test
  void aLifeGoesOneWayAndEachStepIsANewVersion() {
    assertThat(List.of(starting.version(), running.version(), stopping.version(), ended.version()))
        .containsExactly(1L, 2L, 3L, 4L);
    assertThat(running.isolation()).isEqualTo(Isolation.HARDWARE);
    assertThat(running.policyRevision()).isEqualTo(3);
    assertThat(ended.state())
        .isEqualTo(new SandboxState.Ended(EndCause.DELETED, "deleted", Samples.NOW));
  }

  @Test
  void anotherNodeTakesItOverUnderANewEpoch() {
    Sandbox moved = starting.placedAgain("n2", Isolation.HARDWARE).after();
    assertThat(moved.node()).isEqualTo("n2");
    assertThat(moved.epoch()).isEqualTo(starting.epoch() + 1);
    assertThat(moved.version()).isEqualTo(starting.version() + 1);
    assertThat(moved.isolation()).isEqualTo(Isolation.HARDWARE);
    assertThat(moved.state()).isEqualTo(starting.state());
  }

  @Test
  void whatAStateDoesNotAllowThrows() {
    Function<Sandbox, Transition> start =
        sandbox -> sandbox.started(Samples.started(Isolation.EMULATED, 9), Samples.NOW);
    Function<Sandbox, Transition> stop = sandbox -> sandbox.stopping(EndCause.LOST, "");
    Function<Sandbox, Transition> end = sandbox -> sandbox.ended(Samples.NOW);
    Function<Sandbox, Transition> extend =
        sandbox -> sandbox.extended(Optional.empty(), Samples.NOW);
    Function<Sandbox, Transition> policy =
        sandbox -> sandbox.policyUpdated(EgressPolicy.getDefaultInstance(), 9, Samples.NOW);
    assertNone(running, start, end);
    assertNone(starting, end, extend, policy);
    assertNone(stopping, start, stop, extend, policy);
    assertNone(ended, start, stop, end, extend, policy);
  }

  @Test
  void whatItsNodeSaysIsWhatItDoes() {
    Sandbox paused = seen(running, Activity.PAUSED, 0, EventDraft.Kind.PAUSED);
    Sandbox suspended = seen(paused, Activity.SUSPENDED, 0, EventDraft.Kind.SUSPENDED);
    Sandbox woken = seen(suspended, Activity.RUNNING, 0, EventDraft.Kind.RESUMED);
    assertThat(woken.state()).isEqualTo(new SandboxState.Running(LATER, 0));
    assertThat(woken.observed(Activity.RUNNING, 0, LATER, "")).isEmpty();
    for (Sandbox other : List.of(starting, stopping, ended)) {
      assertThatThrownBy(() -> other.observed(Activity.PAUSED, 1, LATER, ""))
          .isInstanceOf(IllegalStateException.class);
    }
  }

  @Test
  void aWordThatWasOvertakenIsNoNews() {
    Sandbox suspended = seen(running, Activity.SUSPENDED, 3, EventDraft.Kind.SUSPENDED);
    assertThat(suspended.observed(Activity.RUNNING, 2, LATER, "")).isEmpty();
    assertThat(suspended.observed(Activity.RUNNING, 3, LATER, "")).isEmpty();
    // It slept and woke meanwhile: nothing to tell, but the word of its sleep is old from now on.
    Transition same = running.observed(Activity.RUNNING, 4, LATER, "").orElseThrow();
    assertThat(same.event()).isEmpty();
    assertThat(same.after().observed(Activity.SUSPENDED, 3, LATER, "")).isEmpty();
    assertThat(seen(same.after(), Activity.PAUSED, 5, EventDraft.Kind.PAUSED).state())
        .isEqualTo(new SandboxState.Paused(LATER, 5));
    // One that does not count is believed, and takes nothing back.
    assertThat(seen(suspended, Activity.RUNNING, 0, EventDraft.Kind.RESUMED).state())
        .isEqualTo(new SandboxState.Running(LATER, 3));
  }

  @Test
  void asleepItIsExtendedEndedAndRolledBackAsAwake() {
    Sandbox suspended = seen(running, Activity.SUSPENDED, 1, EventDraft.Kind.SUSPENDED);
    Sandbox extended = suspended.extended(Optional.of(LATER), Samples.NOW).after();
    assertThat(extended.state()).isEqualTo(suspended.state());
    assertThat(extended.lifetime().isOver(LATER)).isTrue();
    assertThat(extended.lifetime().isOver(LATER.minusMillis(1))).isFalse();
    assertThat(extended.stopping(EndCause.EXPIRED, "").after().state())
        .isInstanceOf(SandboxState.Stopping.class);
    assertThat(extended.rolledBack("sn-x", 2, LATER).after().state())
        .isEqualTo(new SandboxState.Running(LATER, 2));
  }

  private static Sandbox seen(
      Sandbox sandbox, Activity activity, long change, EventDraft.Kind told) {
    Transition transition = sandbox.observed(activity, change, LATER, "why").orElseThrow();
    assertThat(transition.event()).contains(new EventDraft(told, LATER, "why"));
    return transition.after();
  }

  @Test
  void aFailedStartIsToldApartFromAnEnd() {
    Transition failed = starting.stopping(EndCause.START_FAILED, "no").after().ended(Samples.NOW);
    assertThat(failed.event().orElseThrow().kind()).isEqualTo(EventDraft.Kind.START_FAILED);
    assertThat(stopping.ended(Samples.NOW).event().orElseThrow().kind())
        .isEqualTo(EventDraft.Kind.ENDED);
  }

  @Test
  void aPolicyRevisionOnlyRises() {
    assertThatThrownBy(
            () -> running.policyUpdated(EgressPolicy.getDefaultInstance(), 3, Samples.NOW))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("is 3, got 3");
  }

  @Test
  void messagesOfOthersAreCutAndCleaned() {
    Sandbox sandbox = running.stopping(EndCause.LOST, "a\0b\n" + "x".repeat(5000)).after();
    assertThat(((SandboxState.Stopping) sandbox.state()).message())
        .startsWith("a?b?xxx")
        .hasSizeLessThan(600);
  }

  @Test
  void nonsenseIsRefused() {
    assertThatThrownBy(() -> new SandboxSize(0, 512, 1024)).hasMessageContaining("vcpus is 0");
    assertThatThrownBy(() -> new SandboxSize(1, 127, 1024)).hasMessageContaining("127");
    assertThatThrownBy(() -> new SandboxSize(1, 512, 63)).hasMessageContaining("63");
    assertThatThrownBy(() -> new SecretUse("Api", "A")).hasMessageContaining("'Api'");
    assertThatThrownBy(() -> new SecretUse("api", "1A")).hasMessageContaining("'1A'");
    assertThatThrownBy(() -> Isolation.parse("none")).hasMessageContaining("'none'");
    assertThatThrownBy(() -> new Transition(running, running, Optional.empty()))
        .hasMessageContaining("version 2 cannot become");
  }

  @SafeVarargs
  private static void assertNone(Sandbox sandbox, Function<Sandbox, Transition>... changes) {
    for (Function<Sandbox, Transition> change : changes) {
      assertThatThrownBy(() -> change.apply(sandbox))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining(sandbox.id());
    }
  }
}
