package dev.cofferdam.node.sandbox;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.node.fake.FakeHost;
import dev.cofferdam.node.guest.Activity;
import dev.cofferdam.node.guest.GuestException;
import dev.cofferdam.node.guest.GuestIdentity;
import dev.cofferdam.node.machine.MachineException;
import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.node.sandbox.SandboxStates.Visible;
import dev.cofferdam.v1.ErrorReason;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicLong;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Sleep, snapshots, forks and roll-backs, with guests that have a memory and disks that are files.
 */
class SleepTest {
  private static final String A = "sb-aaaaaaaaaaaaaaaaaaaa";
  private static final String B = "sb-bbbbbbbbbbbbbbbbbbbb";
  private static final String C = "sb-cccccccccccccccccccc";
  private static final String KEPT = "sn-aaaaaaaaaaaaaaaaaaaa";
  private static final String FIRST = "vol-aaaaaaaaaaaaaaaaaaaa";
  private static final String SECOND = "vol-bbbbbbbbbbbbbbbbbbbb";

  @TempDir Path directory;
  private FakeHost host;
  private FakeHost.Node node;
  private SandboxStates states;

  @BeforeEach
  void start() {
    host = new FakeHost(directory);
    node = host.node();
    states = node.sandboxes.states();
    node.sandboxes.start(order(A));
  }

  @AfterEach
  void stop() {
    node.close();
  }

  @Test
  void aPausedSandboxStandsStillAndGoesOn() {
    states.set(A, 1, Visible.PAUSED);
    assertThat(host.kernel.memory(A).running).isFalse();
    assertVisible(A, Visible.PAUSED);
    assertReason(ErrorReason.ERROR_REASON_SANDBOX_NOT_RUNNING, () -> states.reach(A));
    assertThat(states.set(A, 1, Visible.PAUSED)).containsKey("total");

    states.set(A, 1, Visible.RUNNING);
    assertThat(host.kernel.memory(A).running).isTrue();
    assertThat(node.acts.done()).doesNotContain("guest.freeze");
    // Told the time, which its machine did not count.
    assertThat(node.acts.done()).contains("guest.thaw");
    assertThat(states.reach(A).token()).isEqualTo(token(0));
  }

  @Test
  void aSuspendedSandboxHasNoMachineAndKeepsItsPlace() {
    host.kernel.memory(A).counter = 7;
    int free = node.sandboxes.freeMemoryMib();
    states.set(A, 1, Visible.SUSPENDED);

    assertThat(host.kernel.running()).isEmpty();
    assertThat(node.sandboxes.freeMemoryMib()).isEqualTo(free + FakeHost.PREPARED.memoryMib());
    assertThat(host.kernel.attachments()).containsValue(A);
    assertThat(host.kernel.slots()).hasSize(1);
    assertThat(node.occupants.at(1, Instant.now())).contains(A);
    assertVisible(A, Visible.SUSPENDED);
    int attached = count("gateway.attach");

    // A call wakes it, and needs nobody outside the node for it.
    node.acts.fail("gateway.attach", () -> new IllegalStateException("the broker is away"));
    assertThat(states.reach(A).token()).isEqualTo(token(0));
    assertThat(host.kernel.memory(A).counter).isEqualTo(7);
    assertThat(host.kernel.memory(A).frozen).isFalse();
    assertThat(count("gateway.attach")).isEqualTo(attached);
    assertThat(node.sandboxes.freeMemoryMib()).isEqualTo(free);
    assertVisible(A, Visible.RUNNING);
    assertThat(host.root().resolve(A).resolve("ram")).doesNotExist();
  }

  @Test
  void nothingOfTheTenantRunsBetweenTheStopAndTheReseeding() {
    states.set(A, 1, Visible.SUSPENDED);
    states.reach(A);
    List<String> acts = node.acts.done();
    assertThat(acts.indexOf("guest.freeze"))
        .isGreaterThan(acts.indexOf("journal.halted.written"))
        .isLessThan(acts.indexOf("machine.snapshot"));
    assertThat(acts.indexOf("journal.suspended.written"))
        .isGreaterThan(acts.indexOf("machine.snapshot"))
        .isLessThan(acts.indexOf("machine.stop"));
    // Once it goes on, what it slept in is of no use any more: the journal says so first.
    assertThat(acts.indexOf("guest.thaw"))
        .isGreaterThan(acts.lastIndexOf("journal.halted.written"));
  }

  @Test
  void manyFirstCallsShareOneWake() throws Exception {
    states.set(A, 1, Visible.SUSPENDED);
    List<CompletableFuture<Relay>> calls = new ArrayList<>();
    for (int i = 0; i < 20; i++) {
      calls.add(CompletableFuture.supplyAsync(() -> states.reach(A)));
    }
    for (CompletableFuture<Relay> call : calls) {
      assertThat(call.get(20, TimeUnit.SECONDS).token()).isEqualTo(token(0));
    }
    assertThat(count("guest.thaw")).isEqualTo(1);
  }

  @Test
  void aWakeWaitsForCapacityAndTheSandboxSleepsOn() {
    states.set(A, 1, Visible.SUSPENDED);
    node.sandboxes.start(sized(B, 1024));
    assertReason(
        ErrorReason.ERROR_REASON_NO_CAPACITY,
        () -> {
          node.sandboxes.start(sized(C, 512));
          states.reach(A);
        });
    assertVisible(A, Visible.SUSPENDED);
    node.sandboxes.remove(C, 1);
    states.reach(A);
    assertVisible(A, Visible.RUNNING);
  }

  @Test
  void whatCameAboutIsCountedByWhatWasDone() {
    states.set(A, 1, Visible.PAUSED);
    states.set(A, 1, Visible.RUNNING);
    states.set(A, 1, Visible.RUNNING);
    states.set(A, 1, Visible.SUSPENDED);
    states.reach(A);
    node.acts.fail("machine.snapshot", () -> failure("machine.snapshot"));
    assertReason(ErrorReason.ERROR_REASON_INTERNAL, () -> states.set(A, 1, Visible.SUSPENDED));
    for (String act : List.of("pause", "resume", "suspend", "wake")) {
      assertThat(node.meters.get("cofferdam.node.state.change").tag("act", act).timer().count())
          .as(act)
          .isEqualTo(1);
    }
  }

  @Test
  void aWakeOnAHostThatIsShortIsRefusedEarlyAndTheSandboxSleepsOn() {
    host.kernel.memory(A).counter = 7;
    states.set(A, 1, Visible.SUSPENDED);
    int free = node.sandboxes.freeMemoryMib();
    int before = node.acts.done().size();
    node.sandboxes.admitBy(() -> {
      throw new Refusal(ErrorReason.ERROR_REASON_NO_CAPACITY, "the host is short of memory");
    });
    assertReason(ErrorReason.ERROR_REASON_NO_CAPACITY, () -> states.reach(A));
    assertReason(ErrorReason.ERROR_REASON_NO_CAPACITY, () -> states.set(A, 1, Visible.RUNNING));
    assertThat(node.acts.done()).as("nothing was begun").hasSize(before);
    assertThat(node.sandboxes.freeMemoryMib()).isEqualTo(free);
    assertVisible(A, Visible.SUSPENDED);
    node.sandboxes.admitBy(() -> {});
    states.reach(A);
    assertThat(host.kernel.memory(A).counter).isEqualTo(7);
  }

  /** What runs is left alone, and what is put back was in memory a moment ago. */
  @Test
  void aHostThatIsShortRollsBackWhatRunsAndLeavesAsleepWhatSleeps() {
    host.kernel.memory(A).counter = 10;
    states.take(A, 1, KEPT, true);
    host.kernel.memory(A).counter = 20;
    node.sandboxes.admitBy(() -> {
      throw new Refusal(ErrorReason.ERROR_REASON_NO_CAPACITY, "the host is short of memory");
    });
    states.rollBack(A, 1, KEPT);
    assertThat(host.kernel.memory(A).counter).isEqualTo(10);
    assertVisible(A, Visible.RUNNING);
    states.set(A, 1, Visible.SUSPENDED);
    assertReason(ErrorReason.ERROR_REASON_NO_CAPACITY, () -> states.rollBack(A, 1, KEPT));
    assertVisible(A, Visible.SUSPENDED);
    node.sandboxes.admitBy(() -> {});
    states.reach(A);
    assertThat(host.kernel.memory(A).counter).isEqualTo(10);
  }

  @Test
  void aSuspendedSandboxSurvivesTheNodeAgentAndTheHost() {
    host.kernel.memory(A).counter = 3;
    states.set(A, 1, Visible.SUSPENDED);
    restart();
    assertVisible(A, Visible.SUSPENDED);
    node.kill();
    host.kernel.reboot();
    node = host.node();
    states = node.sandboxes.states();

    assertVisible(A, Visible.SUSPENDED);
    assertThat(node.occupants.at(1, Instant.now())).contains(A);
    states.reach(A);
    assertThat(host.kernel.memory(A).counter).isEqualTo(3);
  }

  @Test
  void aPausedSandboxIsAdoptedPaused() {
    host.kernel.memory(A).counter = 4;
    states.set(A, 1, Visible.PAUSED);
    restart();
    assertVisible(A, Visible.PAUSED);
    assertThat(host.kernel.memory(A).running).isFalse();
    states.set(A, 1, Visible.RUNNING);
    assertThat(host.kernel.memory(A).counter).isEqualTo(4);
  }

  @ParameterizedTest
  @ValueSource(strings = {"guest.freeze", "machine.pause", "machine.snapshot"})
  void aSleepThatFailsLeavesItRunning(String act) {
    host.kernel.memory(A).counter = 5;
    node.acts.fail(act, () -> failure(act));
    assertReason(ErrorReason.ERROR_REASON_INTERNAL, () -> states.set(A, 1, Visible.SUSPENDED));
    node.acts.heal();
    assertVisible(A, Visible.RUNNING);
    assertThat(host.kernel.memory(A).running).isTrue();
    assertThat(host.kernel.memory(A).frozen).isFalse();
    assertThat(host.root().resolve(A).resolve("ram")).doesNotExist();
    states.set(A, 1, Visible.SUSPENDED);
    states.reach(A);
    assertThat(host.kernel.memory(A).counter).isEqualTo(5);
  }

  @ParameterizedTest
  @ValueSource(strings = {"sandbox.prepare", "machine.start", "machine.resume"})
  void aWakeThatFailsLeavesItAsleep(String act) {
    host.kernel.memory(A).counter = 6;
    states.set(A, 1, Visible.SUSPENDED);
    int free = node.sandboxes.freeMemoryMib();
    node.acts.fail(act, () -> failure(act));
    assertReason(ErrorReason.ERROR_REASON_INTERNAL, () -> states.reach(A));
    node.acts.heal();
    assertVisible(A, Visible.SUSPENDED);
    assertThat(host.kernel.running()).isEmpty();
    assertThat(node.sandboxes.freeMemoryMib()).isEqualTo(free);
    states.reach(A);
    assertThat(host.kernel.memory(A).counter).isEqualTo(6);
  }

  /** Nobody knows whether it went on: it is never put back to what it slept in. */
  @Test
  void aGuestThatDoesNotAnswerAfterItWokeStandsStillForAnotherTry() {
    states.set(A, 1, Visible.SUSPENDED);
    node.acts.fail("guest.thaw", () -> failure("guest.thaw"));
    assertReason(ErrorReason.ERROR_REASON_INTERNAL, () -> states.reach(A));
    assertVisible(A, Visible.PAUSED);
    node.acts.heal();
    restart();
    states.set(A, 1, Visible.RUNNING);
    assertThat(host.kernel.memory(A).frozen).isFalse();
    assertThat(states.reach(A).token()).hasSize(64);
  }

  @Test
  void aSandboxGoesBackToWhatItWas() throws IOException {
    host.kernel.memory(A).counter = 10;
    write(A, "ten");
    long bytes = states.take(A, 1, KEPT, true).bytes();
    assertThat(bytes).isPositive();
    assertThat(states.take(A, 1, KEPT, true).bytes()).isEqualTo(bytes);
    assertThat(host.kernel.memory(A).frozen).isFalse();
    host.kernel.memory(A).counter = 20;
    write(A, "twenty");

    states.rollBack(A, 1, KEPT);
    assertThat(host.kernel.memory(A).counter).isEqualTo(10);
    assertThat(read(A)).isEqualTo("ten");
    assertThat(states.reach(A).token()).isEqualTo(token(0));
    assertThat(host.kernel.attachments()).containsValue(A);
    // As often as one likes, also out of sleep and of a pause.
    for (Visible from : Visible.values()) {
      host.kernel.memory(A).counter = 30;
      write(A, "thirty");
      states.set(A, 1, from);
      states.rollBack(A, 1, KEPT);
      assertThat(host.kernel.memory(A).counter).as("%s", from).isEqualTo(10);
      assertThat(read(A)).isEqualTo("ten");
      assertVisible(A, Visible.RUNNING);
    }
  }

  @Test
  void aSnapshotOfTheDiskAloneBootsAnew() throws IOException {
    host.kernel.memory(A).counter = 10;
    write(A, "ten");
    states.take(A, 1, KEPT, false);
    write(A, "twenty");
    states.rollBack(A, 1, KEPT);
    assertThat(read(A)).isEqualTo("ten");
    assertThat(host.kernel.memory(A).counter).isZero();
    GuestIdentity anew = node.guests.configured().getLast();
    assertThat(anew.environment()).containsEntry("API_KEY", "cfd_placeholder");
    assertThat(states.reach(A).token()).isEqualTo(anew.token());
  }

  @Test
  void whatSleepsHasItsVolumesAgainWhenItWakesAlsoByAnotherProcess() {
    node.sandboxes.start(withVolumes(B));
    assertThat(host.kernel.memory(B).volumes).containsExactly(SECOND, FIRST);
    states.set(B, 1, Visible.SUSPENDED);
    restart();
    states.reach(B);
    assertThat(host.kernel.memory(B).volumes).containsExactly(SECOND, FIRST);
    // Its guest has them mounted still.
    assertThat(node.guests.configured()).isEmpty();
  }

  @Test
  void whatARunningSandboxWroteIsInItsVolumesWhenItIsRemoved() {
    node.sandboxes.remove(A, 1);
    assertThat(node.acts.done()).doesNotContain("guest.freeze");
    node.sandboxes.start(withVolumes(B));
    node.sandboxes.remove(B, 1);
    List<String> acts = node.acts.done();
    assertThat(acts).contains("guest.freeze");
    assertThat(acts.indexOf("guest.freeze")).isLessThan(acts.lastIndexOf("vmm.stop"));
    // One that refuses is removed all the same.
    node.sandboxes.start(withVolumes(C));
    node.acts.fail("guest.freeze", () -> new GuestException("no"));
    node.sandboxes.remove(C, 1);
    assertThat(host.kernel.running()).isEmpty();
    assertThat(host.onDisk()).isEmpty();
  }

  @Test
  void ofOneWithVolumesOnlyTheDiskIsKeptAndPutBackAndTheVolumesStay() throws IOException {
    node.sandboxes.start(withVolumes(B));
    assertReason(ErrorReason.ERROR_REASON_VOLUME_IN_USE, () -> states.take(B, 1, KEPT, true));
    write(B, "ten");
    states.take(B, 1, KEPT, false);
    write(B, "twenty");
    states.rollBack(B, 1, KEPT);
    assertThat(read(B)).isEqualTo("ten");
    assertThat(host.kernel.memory(B).volumes).containsExactly(SECOND, FIRST);
    assertThat(node.guests.configured().getLast().volumes())
        .containsExactly("/data", "/data/cache");
    assertReason(
        ErrorReason.ERROR_REASON_INVALID_ARGUMENT,
        () ->
            new StartOrder(
                B,
                2,
                "debian",
                FakeHost.PREPARED,
                Map.of(),
                "ticket",
                "",
                Optional.of(KEPT),
                Duration.ZERO,
                new TreeMap<>(Map.of("/data", FIRST)),
                Optional.empty()));
  }

  @ParameterizedTest
  @ValueSource(strings = {"RUNNING", "PAUSED", "SUSPENDED"})
  void whileItStandsStillNothingOfItWritesAndAfterwardsItIsAsItWas(String state) {
    states.set(A, 1, Visible.valueOf(state));
    List<Boolean> ran = new ArrayList<>();
    states.still(
        A, () -> ran.add(host.kernel.running().contains(A) && host.kernel.memory(A).running));
    assertThat(ran).containsExactly(false);
    assertVisible(A, Visible.valueOf(state));
    assertThat(count("guest.freeze")).isEqualTo(1);
    assertThatThrownBy(() ->
            states.still(
                A,
                () -> {
                  throw new IllegalStateException("no room");
                }))
        .hasMessage("no room");
    assertVisible(A, Visible.valueOf(state));
    states.set(A, 1, Visible.RUNNING);
    assertThat(host.kernel.memory(A).running).isTrue();
    assertThat(host.kernel.memory(A).frozen).isFalse();
  }

  @Test
  void oneThatIsNotHereStandsStillAnyhow() {
    List<String> done = new ArrayList<>();
    states.still(B, () -> done.add("B"));
    node.sandboxes.remove(A, 1);
    states.still(A, () -> done.add("A"));
    assertThat(done).containsExactly("B", "A");
  }

  @ParameterizedTest
  @ValueSource(strings = {"RUNNING", "PAUSED", "SUSPENDED"})
  void aSnapshotLeavesTheSandboxAsItWas(String state) throws IOException {
    host.kernel.memory(A).counter = 10;
    write(A, "ten");
    states.set(A, 1, Visible.valueOf(state));
    states.take(A, 1, KEPT, true);
    assertVisible(A, Visible.valueOf(state));
    states.set(A, 1, Visible.RUNNING);
    assertThat(host.kernel.memory(A).counter).isEqualTo(10);

    node.sandboxes.start(fork(B, KEPT));
    assertThat(node.occupants.at(2, Instant.now())).contains(B);
    assertThat(host.kernel.memory(B).counter).isEqualTo(10);
    assertThat(read(B)).isEqualTo("ten");
  }

  @Test
  void aForkIsSomebodyElseBeforeAnythingOfItRuns() {
    host.kernel.memory(A).counter = 10;
    states.take(A, 1, KEPT, true);
    node.sandboxes.start(fork(B, KEPT));
    node.sandboxes.remove(A, 1);
    node.sandboxes.start(fork(C, KEPT));

    List<GuestIdentity> identities = node.guests.configured();
    assertThat(identities).hasSize(3).extracting(GuestIdentity::token).doesNotHaveDuplicates();
    assertThat(identities).extracting(GuestIdentity::machineId).doesNotHaveDuplicates();
    assertThat(identities).extracting(GuestIdentity::hostname).containsExactly(A, B, C);
    assertThat(states.reach(B).token()).isEqualTo(token(1));
    assertThat(host.kernel.memory(B).token).isEqualTo(token(1));
    assertThat(host.kernel.memory(B).frozen).isFalse();
    assertThat(host.kernel.attachments().values()).containsExactlyInAnyOrder(B, C);
    // A copy sleeps, and is kept, as any other.
    states.set(B, 1, Visible.SUSPENDED);
    states.reach(B);
    assertThat(host.kernel.memory(B).counter).isEqualTo(10);
  }

  @Test
  void whatCannotBeUsedIsRefusedAndNothingIsLost() throws IOException {
    assertReason(ErrorReason.ERROR_REASON_SNAPSHOT_NOT_FOUND, () -> states.rollBack(A, 1, KEPT));
    assertReason(
        ErrorReason.ERROR_REASON_SNAPSHOT_NOT_FOUND, () -> node.sandboxes.start(fork(B, KEPT)));
    assertReason(
        ErrorReason.ERROR_REASON_INVALID_ARGUMENT, () -> states.take(A, 1, "../../x", true));
    states.take(A, 1, KEPT, true);
    node.sandboxes.start(order(B));
    assertReason(ErrorReason.ERROR_REASON_SNAPSHOT_UNUSABLE, () -> states.rollBack(B, 1, KEPT));
    assertReason(
        ErrorReason.ERROR_REASON_SNAPSHOT_UNUSABLE,
        () ->
            node.sandboxes.start(
                new StartOrder(
                    C,
                    1,
                    "debian",
                    new MachineSize(1, 256, 64),
                    Map.of(),
                    "ticket",
                    "",
                    Optional.of(KEPT),
                    Duration.ZERO)));
    Path index = directory.resolve("kept").resolve(KEPT).resolve("snapshot.json");
    Files.writeString(index, "rubbish");
    assertReason(ErrorReason.ERROR_REASON_SNAPSHOT_UNUSABLE, () -> states.rollBack(A, 1, KEPT));
    assertVisible(A, Visible.RUNNING);
    states.removeSnapshot(KEPT);
    states.removeSnapshot(KEPT);
    assertThat(directory.resolve("kept").resolve(KEPT)).doesNotExist();
  }

  @Test
  void aSnapshotThatFailsLeavesNothingAndTheSandboxRuns() {
    node.acts.fail("machine.snapshot", () -> failure("machine.snapshot"));
    assertReason(ErrorReason.ERROR_REASON_INTERNAL, () -> states.take(A, 1, KEPT, true));
    node.acts.heal();
    assertThat(directory.resolve("kept").resolve(KEPT)).doesNotExist();
    assertVisible(A, Visible.RUNNING);
    assertThat(host.kernel.memory(A).frozen).isFalse();
  }

  @Test
  void ordersOfThePastAndOfOthersAreRefused() {
    node.sandboxes.start(new StartOrder(B, 5, "debian", FakeHost.PREPARED, Map.of(), "t", ""));
    assertReason(ErrorReason.ERROR_REASON_STALE_EPOCH, () -> states.set(B, 4, Visible.SUSPENDED));
    assertReason(
        ErrorReason.ERROR_REASON_SANDBOX_NOT_FOUND, () -> states.set(B, 6, Visible.SUSPENDED));
    assertReason(
        ErrorReason.ERROR_REASON_SANDBOX_NOT_FOUND, () -> states.set(C, 1, Visible.PAUSED));
    states.set(B, 5, Visible.SUSPENDED);
    assertThat(
            node.sandboxes
                .start(new StartOrder(B, 5, "debian", FakeHost.PREPARED, Map.of(), "t", ""))
                .stepsMs())
        .isEmpty();
    assertThat(node.sandboxes.present()).contains(new Sandboxes.Present(B, 5, Visible.SUSPENDED));
    node.sandboxes.remove(B, 5);
    assertReason(
        ErrorReason.ERROR_REASON_SANDBOX_NOT_RUNNING, () -> states.set(B, 5, Visible.RUNNING));
    assertThat(host.onDisk()).containsExactly(A);
  }

  @Test
  void oneThatIsRemovedInItsSleepOrItsPauseGivesAllBack() {
    node.sandboxes.start(order(B));
    states.set(A, 1, Visible.SUSPENDED);
    states.set(B, 1, Visible.PAUSED);
    node.sandboxes.remove(A, 1);
    node.sandboxes.remove(B, 1);
    assertThat(host.onDisk()).isEmpty();
    assertThat(host.kernel.slots()).isEmpty();
    assertThat(host.kernel.attachments()).isEmpty();
    assertThat(node.sandboxes.freeMemoryMib()).isEqualTo(1536);
  }

  @Test
  void aPausedMachineThatDiesIsLost() {
    List<String> lost = new ArrayList<>();
    CompletableFuture<Void> told = new CompletableFuture<>();
    node.sandboxes.onLoss((sandbox, epoch, message) -> {
      lost.add(sandbox);
      told.complete(null);
    });
    states.set(A, 1, Visible.PAUSED);
    host.kernel.kill(1);
    assertThat(told).succeedsWithin(Duration.ofSeconds(20));
    assertThat(lost).containsExactly(A);
    assertThat(host.onDisk()).isEmpty();
  }

  @Test
  void changesAreNumberedUpwardsOverRestarts() {
    long first = states.change(A);
    states.set(A, 1, Visible.PAUSED);
    long second = states.change(A);
    assertThat(second).isGreaterThan(first);
    assertThat(states.change(A)).isEqualTo(second);
    states.set(A, 1, Visible.SUSPENDED);
    assertThat(states.change(A)).isGreaterThan(second);
  }

  @Test
  void whoHasNothingToDoFallsAsleepAndSaysWhy() {
    List<String> told = new ArrayList<>();
    states.onChange((sandbox, epoch, state, change, message) ->
        told.add(sandbox + " " + state + " " + message));
    node.sandboxes.start(idle(B, Duration.ofSeconds(8)));
    AtomicLong seconds = new AtomicLong();
    IdleWatch watch = node.idleWatch(() -> seconds.get() * 1_000_000_000L);
    Runnable pass =
        () -> {
          seconds.addAndGet(2);
          watch.look();
        };
    watch.look();
    // Each of these is something to do.
    for (Activity busy :
        List.of(
            new Activity(1, 0, Duration.ZERO),
            new Activity(0, 1, Duration.ZERO),
            new Activity(0, 0, Duration.ofSeconds(1)))) {
      node.guests.activity = busy;
      pass.run();
      node.guests.activity = new Activity(0, 0, busy.cpu());
      for (int i = 0; i < 3; i++) {
        pass.run();
      }
      assertVisible(B, Visible.RUNNING);
    }
    states.reach(B);
    for (int i = 0; i < 4; i++) {
      pass.run();
      assertVisible(B, Visible.RUNNING);
    }
    pass.run();
    assertVisible(B, Visible.SUSPENDED);
    // Whose order names no time stays awake.
    assertVisible(A, Visible.RUNNING);
    states.reach(B);
    assertThat(told).containsExactly(B + " SUSPENDED idle for 8 s", B + " RUNNING woken by a call");
  }

  @Test
  void aCallThatComesWhileASandboxFallsAsleepKeepsItAwake() {
    long seen = states.calls(A);
    states.reach(A);
    assertThat(states.suspendIdle(A, 1, seen, "idle")).isFalse();
    assertVisible(A, Visible.RUNNING);
    assertThat(node.acts.done()).doesNotContain("guest.freeze");
    assertThat(states.suspendIdle(A, 1, states.calls(A), "idle")).isTrue();
  }

  @Test
  void whoCannotBeAskedIsNotIdle() {
    node.sandboxes.start(idle(B, Duration.ofSeconds(4)));
    AtomicLong seconds = new AtomicLong();
    IdleWatch watch = node.idleWatch(() -> seconds.get() * 1_000_000_000L);
    node.acts.fail("guest.activity", () -> failure("guest.activity"));
    for (int i = 0; i < 10; i++) {
      seconds.addAndGet(2);
      watch.look();
    }
    assertVisible(B, Visible.RUNNING);
  }

  private static RuntimeException failure(String act) {
    return act.startsWith("guest.")
        ? new GuestException("no answer", new TimeoutException())
        : new MachineException("no room");
  }

  private void restart() {
    node.kill();
    node = host.node();
    states = node.sandboxes.states();
  }

  private int count(String act) {
    return (int) node.acts.done().stream().filter(act::equals).count();
  }

  private String token(int nth) {
    return node.guests.configured().get(nth).token();
  }

  private void write(String sandbox, String text) throws IOException {
    Path disk = host.root().resolve(sandbox).resolve("disk.ext4");
    try (var channel = FileChannel.open(disk, StandardOpenOption.WRITE)) {
      byte[] block = Arrays.copyOf(text.getBytes(StandardCharsets.UTF_8), 64);
      channel.write(ByteBuffer.wrap(block), 1 << 20);
    }
  }

  private String read(String sandbox) throws IOException {
    Path disk = host.root().resolve(sandbox).resolve("disk.ext4");
    try (var channel = FileChannel.open(disk, StandardOpenOption.READ)) {
      ByteBuffer block = ByteBuffer.allocate(64);
      channel.read(block, 1 << 20);
      return new String(block.array(), StandardCharsets.UTF_8).replace("\0", "");
    }
  }

  private void assertVisible(String sandbox, Visible state) {
    assertThat(node.sandboxes.present()).contains(new Sandboxes.Present(sandbox, 1, state));
  }

  private static void assertReason(ErrorReason reason, ThrowingCallable call) {
    assertThatThrownBy(call)
        .isInstanceOfSatisfying(Refusal.class, e -> assertThat(e.reason()).isEqualTo(reason));
  }

  private static StartOrder order(String sandbox) {
    return sized(sandbox, FakeHost.PREPARED.memoryMib());
  }

  private static StartOrder sized(String sandbox, int memoryMib) {
    return new StartOrder(
        sandbox,
        1,
        "debian",
        new MachineSize(1, memoryMib, 64),
        Map.of("API_KEY", "cfd_placeholder"),
        "ticket",
        "");
  }

  private static StartOrder fork(String sandbox, String snapshot) {
    return new StartOrder(
        sandbox,
        1,
        "debian",
        FakeHost.PREPARED,
        Map.of("API_KEY", "cfd_other"),
        "ticket",
        "",
        Optional.of(snapshot),
        Duration.ZERO);
  }

  private static StartOrder withVolumes(String sandbox) {
    return new StartOrder(
        sandbox,
        1,
        "debian",
        FakeHost.PREPARED,
        Map.of(),
        "ticket",
        "",
        Map.of("/data/cache", FIRST, "/data", SECOND));
  }

  private static StartOrder idle(String sandbox, Duration idle) {
    return new StartOrder(
        sandbox, 1, "debian", FakeHost.PREPARED, Map.of(), "ticket", "", Optional.empty(), idle);
  }
}
