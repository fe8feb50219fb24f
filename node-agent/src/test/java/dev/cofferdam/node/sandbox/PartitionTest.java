package dev.cofferdam.node.sandbox;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.node.fake.FakeHost;
import dev.cofferdam.node.machine.MachineException;
import dev.cofferdam.node.sandbox.SandboxStates.Visible;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a node does with its sandboxes while the scheduler is out of its reach. */
class PartitionTest {
  private static final String A = "sb-aaaaaaaaaaaaaaaaaaaa";
  private static final String B = "sb-bbbbbbbbbbbbbbbbbbbb";
  private static final OnPartition PAUSE = new OnPartition(true, Duration.ofSeconds(30));
  private static final OnPartition CONTINUE = new OnPartition(false, Duration.ofSeconds(30));

  @TempDir Path directory;
  private final AtomicBoolean registered = new AtomicBoolean(true);
  private final AtomicLong seconds = new AtomicLong();
  private final List<String> told = Collections.synchronizedList(new ArrayList<>());
  private FakeHost host;
  private FakeHost.Node node;
  private SandboxStates states;
  private PartitionWatch watch;

  @BeforeEach
  void start() {
    host = new FakeHost(directory);
    take(host.node(), PAUSE);
    node.sandboxes.start(order(A));
    node.sandboxes.start(order(B));
  }

  @AfterEach
  void stop() {
    node.close();
  }

  @Test
  void nothingStandsStillBeforeTheTimeIsOver() {
    after(1000);
    registered.set(false);
    after(29);
    assertState(A, Visible.RUNNING);
    // Each time counts for itself.
    registered.set(true);
    after(1);
    registered.set(false);
    after(29);
    assertState(A, Visible.RUNNING);
    assertThat(node.acts.done()).doesNotContain("machine.pause");
    after(1);
    assertState(A, Visible.PAUSED);
    assertState(B, Visible.PAUSED);
    assertThat(host.kernel.memory(A).running).isFalse();
    assertThat(host.kernel.running()).containsExactlyInAnyOrder(A, B);
  }

  @Test
  void whatTheUserPausedStaysPausedWhenTheNodeIsBack() {
    states.set(B, 1, Visible.PAUSED);
    cutOff();
    assertState(A, Visible.PAUSED);
    registered.set(true);
    after(1);
    assertState(A, Visible.RUNNING);
    assertThat(host.kernel.memory(A).running).isTrue();
    assertState(B, Visible.PAUSED);
    assertThat(told)
        .containsExactly(
            A + " PAUSED its node is cut off from the scheduler",
            A + " RUNNING its node is no longer cut off");
  }

  @Test
  void whatWasPausedForThePartitionAndThenByTheUserStaysPaused() {
    cutOff();
    states.set(A, 1, Visible.PAUSED);
    successor(PAUSE);
    registered.set(true);
    after(1);
    assertState(A, Visible.PAUSED);
    assertState(B, Visible.RUNNING);
    states.set(A, 1, Visible.RUNNING);
    assertState(A, Visible.RUNNING);
  }

  /** Killed while it is cut off: its successor knows what it paused. */
  @Test
  void aSuccessorResumesWhatItsPredecessorPaused() {
    states.set(B, 1, Visible.PAUSED);
    host.kernel.memory(A).counter = 7;
    cutOff();
    successor(PAUSE);
    assertState(A, Visible.PAUSED);
    after(1);
    assertThat(host.kernel.memory(A).running).isFalse();
    registered.set(true);
    after(1);
    assertState(A, Visible.RUNNING);
    assertState(B, Visible.PAUSED);
    assertThat(host.kernel.memory(A).counter).isEqualTo(7);
    // Known no longer: a third one finds it running.
    successor(PAUSE);
    assertState(A, Visible.RUNNING);
  }

  @Test
  void aSuccessorThatIsToGoOnResumesAtOnce() {
    cutOff();
    successor(CONTINUE);
    after(1);
    assertState(A, Visible.RUNNING);
    assertThat(registered).isFalse();
  }

  @Test
  void withoutThePauseEverythingGoesOnHoweverLongItTakes() {
    take(node, CONTINUE);
    registered.set(false);
    after(1_000_000);
    assertState(A, Visible.RUNNING);
    assertThat(node.acts.done()).doesNotContain("machine.pause");
  }

  @Test
  void whatComesToRunWhileTheNodeIsCutOffIsPausedToo() {
    states.set(B, 1, Visible.SUSPENDED);
    cutOff();
    states.reach(B);
    assertState(B, Visible.RUNNING);
    after(1);
    assertState(B, Visible.PAUSED);
    registered.set(true);
    after(1);
    assertState(A, Visible.RUNNING);
    assertState(B, Visible.RUNNING);
  }

  @Test
  void aSnapshotOfOneThatStandsStillForThePartitionDoesNotMakeItTheUsersPause() {
    cutOff();
    states.take(A, 1, "sn-aaaaaaaaaaaaaaaaaaaa", true);
    assertState(A, Visible.PAUSED);
    registered.set(true);
    after(1);
    assertState(A, Visible.RUNNING);
    assertThat(host.kernel.memory(A).frozen).isFalse();
  }

  /** One that does not obey is tried again, and keeps nobody else from it. */
  @Test
  void oneThatDoesNotObeyIsTriedAgain() {
    node.acts.fail("machine.pause", () -> new MachineException("no answer"));
    cutOff();
    assertState(A, Visible.RUNNING);
    node.acts.heal();
    after(1);
    assertState(A, Visible.PAUSED);
    assertState(B, Visible.PAUSED);

    node.acts.fail("machine.resume", () -> new MachineException("no answer"));
    registered.set(true);
    after(1);
    assertState(A, Visible.PAUSED);
    node.acts.heal();
    after(1);
    assertState(A, Visible.RUNNING);
    assertState(B, Visible.RUNNING);
  }

  @Test
  void oneThatIsRemovedMeanwhileIsGone() {
    cutOff();
    node.sandboxes.remove(A, 1);
    registered.set(true);
    after(1);
    assertThat(host.onDisk()).containsExactly(B);
    assertState(B, Visible.RUNNING);
  }

  private void cutOff() {
    after(1);
    registered.set(false);
    after(30);
  }

  private void after(long more) {
    seconds.addAndGet(more);
    watch.look();
  }

  private void successor(OnPartition config) {
    node.kill();
    take(host.node(), config);
  }

  private void take(FakeHost.Node next, OnPartition config) {
    node = next;
    states = node.sandboxes.states();
    states.onChange((sandbox, epoch, state, change, message) ->
        told.add(sandbox + " " + state + " " + message));
    watch =
        node.partitionWatch(config, registered::get, () -> TimeUnit.SECONDS.toNanos(seconds.get()));
  }

  private void assertState(String sandbox, Visible state) {
    assertThat(node.sandboxes.present()).contains(new Sandboxes.Present(sandbox, 1, state));
  }

  private static StartOrder order(String sandbox) {
    return new StartOrder(sandbox, 1, "debian", FakeHost.PREPARED, Map.of(), "ticket", "");
  }
}
