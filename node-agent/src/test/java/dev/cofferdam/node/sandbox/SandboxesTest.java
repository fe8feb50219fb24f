package dev.cofferdam.node.sandbox;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.node.fake.FakeHost;
import dev.cofferdam.node.guest.GuestIdentity;
import dev.cofferdam.node.helper.HelperException;
import dev.cofferdam.node.journal.JournalException;
import dev.cofferdam.node.machine.Isolation;
import dev.cofferdam.node.machine.MachineException;
import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.v1.ErrorReason;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SandboxesTest {
  private static final String A = "sb-aaaaaaaaaaaaaaaaaaaa";
  private static final String B = "sb-bbbbbbbbbbbbbbbbbbbb";
  private static final String C = "sb-cccccccccccccccccccc";

  @TempDir Path directory;
  private FakeHost host;
  private FakeHost.Node node;

  @BeforeEach
  void start() {
    host = new FakeHost(directory);
    node = host.node();
  }

  @AfterEach
  void stop() {
    node.close();
  }

  @Test
  void aStartedSandboxRunsAttachedAndConfigured() {
    Started started = node.sandboxes.start(order(A, 1));

    assertThat(started.isolation()).isEqualTo(Isolation.EMULATED);
    assertThat(started.stepsMs()).containsKeys("slot", "journal", "attach", "guest", "total");
    assertThat(host.kernel.running()).containsExactly(A);
    assertThat(host.kernel.attachments()).containsValue(A);
    GuestIdentity identity = node.guests.configured().getFirst();
    assertThat(identity.hostname()).isEqualTo(A);
    assertThat(identity.environment()).containsEntry("API_KEY", "cfd_placeholder");
    assertThat(node.sandboxes.running()).containsExactly(new Sandboxes.Entry(A, 1));
    assertThat(node.sandboxes.relay(A).token()).isEqualTo(identity.token());
  }

  @Test
  void whatIsHereIsCountedByStateAndBySlot() {
    assertThat(node.sandboxes.counts()).isEmpty();
    node.sandboxes.start(order(A, 1));
    node.sandboxes.start(order(B, 1));
    assertThat(node.sandboxes.counts()).isEqualTo(Map.of("running", 2));
    assertThat(node.sandboxes.occupied()).containsOnlyKeys(A, B).doesNotContainValue(0);
    assertThat(Set.copyOf(node.sandboxes.occupied().values())).hasSize(2);
    node.sandboxes.remove(A, 1);
    assertThat(node.sandboxes.counts()).isEqualTo(Map.of("running", 1));
    assertThat(node.sandboxes.occupied()).containsOnlyKeys(B);
  }

  @Test
  void theGuestIsConfiguredOnlyOnceTheWayOutIsInForceAndTheMachineRuns() {
    node.sandboxes.start(order(A, 1));

    List<String> acts = node.acts.done();
    assertThat(acts.indexOf("guest.configure"))
        .isGreaterThan(acts.indexOf("gateway.attach"))
        .isGreaterThan(acts.indexOf("machine.resume"));
    assertThat(acts.indexOf("journal.claimed.written")).isLessThan(acts.indexOf("gateway.attach"));
  }

  @Test
  void twoSandboxesShareNothingThatMakesAGuestUnique() {
    node.sandboxes.start(order(A, 1));
    node.sandboxes.start(order(B, 1));

    GuestIdentity a = node.guests.configured().get(0);
    GuestIdentity b = node.guests.configured().get(1);
    assertThat(a.entropy()).isNotEqualTo(b.entropy());
    assertThat(a.entropy().size()).isGreaterThanOrEqualTo(64);
    assertThat(a.machineId()).isNotEqualTo(b.machineId());
    assertThat(a.token()).isNotEqualTo(b.token());
  }

  @Test
  void aRepeatedStartIsAnsweredAndMakesNothing() {
    node.sandboxes.start(order(A, 1));
    assertThat(node.sandboxes.start(order(A, 1)).stepsMs()).isEmpty();
    assertThat(host.kernel.running()).containsExactly(A);
    assertThat(node.guests.configured()).hasSize(1);
  }

  @Test
  void aHostUnderPressureTakesNoMoreAndKeepsWhatItHas() {
    node.sandboxes.start(order(A, 1));
    Set<String> onDisk = host.onDisk();
    int acts = node.acts.done().size();
    node.sandboxes.admitBy(() -> {
      throw new Refusal(ErrorReason.ERROR_REASON_NO_CAPACITY, "short of disk");
    });
    assertReason(ErrorReason.ERROR_REASON_NO_CAPACITY, () -> node.sandboxes.start(order(B, 1)));

    assertThat(node.acts.done()).hasSize(acts);
    assertThat(host.onDisk()).isEqualTo(onDisk);
    assertThat(node.sandboxes.start(order(A, 1)).stepsMs()).isEmpty();
    assertThat(node.sandboxes.relay(A).token()).hasSize(64);
    node.sandboxes.admitBy(() -> {});
    node.sandboxes.start(order(B, 1));
    node.sandboxes.remove(A, 1);
    assertThat(host.kernel.running()).containsExactly(B);
  }

  @Test
  void aLowerEpochIsRefusedAndAHigherOneReplaces() {
    node.sandboxes.start(order(A, 5));
    assertReason(ErrorReason.ERROR_REASON_STALE_EPOCH, () -> node.sandboxes.start(order(A, 4)));
    assertReason(ErrorReason.ERROR_REASON_STALE_EPOCH, () -> node.sandboxes.remove(A, 4));

    node.sandboxes.start(order(A, 6));
    assertThat(host.kernel.running()).containsExactly(A);
    assertThat(node.sandboxes.running()).containsExactly(new Sandboxes.Entry(A, 6));
    assertThat(node.guests.configured()).hasSize(2);
  }

  @Test
  void aRemovedSandboxLeavesNothingAndItsEpochNeverStartsAgain() {
    node.sandboxes.start(order(A, 2));
    node.sandboxes.remove(A, 2);
    assertNothingLeft();

    node.sandboxes.remove(A, 2);
    assertReason(ErrorReason.ERROR_REASON_STALE_EPOCH, () -> node.sandboxes.start(order(A, 2)));
    assertReason(ErrorReason.ERROR_REASON_SANDBOX_NOT_RUNNING, () -> node.sandboxes.relay(A));
  }

  @Test
  void removingWhatWasNeverHereSucceedsAndFences() {
    node.sandboxes.remove(A, 3);
    assertReason(ErrorReason.ERROR_REASON_STALE_EPOCH, () -> node.sandboxes.start(order(A, 3)));
    restart();
    assertReason(ErrorReason.ERROR_REASON_STALE_EPOCH, () -> node.sandboxes.start(order(A, 2)));
    assertReason(ErrorReason.ERROR_REASON_SANDBOX_NOT_FOUND, () -> node.sandboxes.relay(B));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "slot.create",
        "journal.claimed",
        "gateway.attach",
        "sandbox.prepare",
        "machine.start",
        "machine.resume",
        "guest.configure",
        "journal.running"
      })
  void aStartThatFailsAnywhereLeavesNothingAndMayBeRepeated(String act) {
    node.acts.fail(act, () -> failure(act));
    assertThatThrownBy(() -> node.sandboxes.start(order(A, 1)))
        .isInstanceOf(RuntimeException.class);
    node.acts.heal();
    node.slots.maintain();
    assertNothingLeft();
    assertThat(node.sandboxes.freeMemoryMib()).isEqualTo(1536);

    node.sandboxes.start(order(A, 1));
    assertThat(host.kernel.running()).containsExactly(A);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "slot.create",
        "journal.claimed",
        "gateway.attach",
        "sandbox.prepare",
        "machine.start",
        "machine.resume",
        "guest.configure",
        "journal.running"
      })
  void aStartThatCrashesAnywhereLeavesNothingAndMayBeRepeated(String act) {
    node.acts.crash(act);
    assertThatThrownBy(() -> node.sandboxes.start(order(A, 1)))
        .isInstanceOf(StackOverflowError.class);
    node.acts.heal();
    node.slots.maintain();
    assertNothingLeft();
    assertThat(node.slots.available()).isEqualTo(FakeHost.SLOTS);
    assertThat(node.sandboxes.freeMemoryMib()).isEqualTo(1536);

    node.sandboxes.start(order(A, 1));
    assertThat(host.kernel.running()).containsExactly(A);
  }

  @Test
  void aGatewayThatRefusesSaysWhy() {
    node.acts.fail(
        "gateway.attach",
        () -> new Refusal(ErrorReason.ERROR_REASON_TICKET_INVALID, "the ticket was used before"));
    assertReason(ErrorReason.ERROR_REASON_TICKET_INVALID, () -> node.sandboxes.start(order(A, 1)));
    assertNothingLeft();
    // Its guest may have been told who it is meanwhile; nobody ever gets to it.
    assertReason(ErrorReason.ERROR_REASON_SANDBOX_NOT_RUNNING, () -> node.sandboxes.relay(A));
  }

  @Test
  void whatCannotBeRemovedNowIsRemovedLater() {
    node.sandboxes.start(order(A, 1));
    node.acts.fail("vmm.stop", () -> failure("vmm.stop"));
    assertReason(ErrorReason.ERROR_REASON_INTERNAL, () -> node.sandboxes.remove(A, 1));
    assertReason(ErrorReason.ERROR_REASON_SANDBOX_NOT_RUNNING, () -> node.sandboxes.relay(A));

    node.acts.heal();
    node.sandboxes.sweep();
    assertNothingLeft();
  }

  @Test
  void aGatewayThatIsAwayDoesNotHoldBackARemoval() {
    node.sandboxes.start(order(A, 1));
    node.acts.fail(
        "gateway.detach",
        () -> new Refusal(ErrorReason.ERROR_REASON_GATEWAY_UNAVAILABLE, "no answer"));
    node.sandboxes.remove(A, 1);
    assertThat(host.kernel.running()).isEmpty();
    assertThat(host.onDisk()).isEmpty();
  }

  @Test
  void anotherSizeIsBootedOnADiskOfItsOwn() {
    node.sandboxes.start(order(A, 1, new MachineSize(2, 256, 128)));
    assertThat(node.acts.done()).contains("disk.format");
    assertThat(host.root().resolve(A).resolve("disk.ext4")).hasSize(128L << 20);
    assertThat(host.kernel.running()).containsExactly(A);
  }

  @Test
  void limitsAreKeptAndNothingIsMadeBeyondThem() {
    assertReason(
        ErrorReason.ERROR_REASON_SIZE_OUT_OF_RANGE,
        () -> node.sandboxes.start(order(A, 1, new MachineSize(3, 512, 64))));
    assertReason(
        ErrorReason.ERROR_REASON_SIZE_OUT_OF_RANGE,
        () -> node.sandboxes.start(order(A, 1, new MachineSize(1, 2048, 64))));
    node.sandboxes.start(order(A, 1, new MachineSize(1, 1024, 64)));
    node.sandboxes.start(order(B, 1));
    assertReason(ErrorReason.ERROR_REASON_NO_CAPACITY, () -> node.sandboxes.start(order(C, 1)));
    node.sandboxes.remove(A, 1);
    node.sandboxes.start(order(C, 1));
  }

  @Test
  void withoutASlotThereIsNoCapacity() {
    MachineSize small = new MachineSize(1, 128, 64);
    for (int i = 0; i < FakeHost.SLOTS; i++) {
      node.sandboxes.start(order("sb-" + String.valueOf((char) ('d' + i)).repeat(20), 1, small));
    }
    assertReason(
        ErrorReason.ERROR_REASON_NO_CAPACITY, () -> node.sandboxes.start(order(A, 1, small)));
  }

  @Test
  void anUnknownTemplateIsNamed() {
    StartOrder order = new StartOrder(A, 1, "plan9", FakeHost.PREPARED, Map.of(), "ticket", "");
    assertReason(ErrorReason.ERROR_REASON_TEMPLATE_NOT_FOUND, () -> node.sandboxes.start(order));
  }

  @Test
  void aVmThatEndsByItselfIsClearedAndReported()
      throws ExecutionException, InterruptedException, TimeoutException {
    CompletableFuture<String> lost = new CompletableFuture<>();
    node.sandboxes.onLoss((sandbox, epoch, message) -> lost.complete(sandbox + " " + epoch));
    node.sandboxes.start(order(A, 7));
    host.kernel.kill(1);

    assertThat(lost.get(60, TimeUnit.SECONDS)).isEqualTo(A + " 7");
    assertNothingLeft();
  }

  @Test
  void aVmThatEndsWhileTheJournalFailsIsLetGoOfAllTheSame()
      throws ExecutionException, InterruptedException, TimeoutException {
    CompletableFuture<String> lost = new CompletableFuture<>();
    node.sandboxes.onLoss((sandbox, epoch, message) -> lost.complete(sandbox));
    node.sandboxes.start(order(A, 7));
    node.acts.fail("journal.removing", () -> failure("journal.removing"));
    host.kernel.kill(1);

    assertThat(lost.get(60, TimeUnit.SECONDS)).isEqualTo(A);
    assertReason(ErrorReason.ERROR_REASON_SANDBOX_NOT_RUNNING, () -> node.sandboxes.relay(A));
    assertThat(node.sandboxes.running()).isEmpty();

    node.acts.heal();
    node.sandboxes.sweep();
    assertNothingLeft();
  }

  @Test
  void whatASlotDidIsTheDoingOfWhoWasInItThen() {
    Instant before = Instant.now().minusMillis(1);
    node.sandboxes.start(order(A, 1));
    Instant then = Instant.now();
    assertThat(node.occupants.at(1, before)).isEmpty();
    assertThat(node.occupants.at(1, then)).contains(A);
    assertThat(node.occupants.at(2, then)).isEmpty();

    restart();
    assertThat(node.occupants.at(1, before)).contains(A);

    node.sandboxes.remove(A, 1);
    assertThat(node.occupants.at(1, then)).as("it is told after its end").contains(A);
    assertThat(node.occupants.at(1, Instant.now().plusMillis(1))).isEmpty();
  }

  @Test
  void afterAKillRunningSandboxesAreTakenUpWithTheirTokens() {
    node.sandboxes.start(order(A, 3));
    String token = node.sandboxes.relay(A).token();
    restart();

    assertThat(node.sandboxes.running()).containsExactly(new Sandboxes.Entry(A, 3));
    assertThat(node.sandboxes.relay(A).token()).isEqualTo(token);
    assertThat(node.sandboxes.freeMemoryMib()).isEqualTo(1536 - 512);
    assertThat(node.sandboxes.start(order(A, 3)).stepsMs()).isEmpty();
    node.sandboxes.start(order(B, 1));
    assertThat(host.kernel.running()).containsExactlyInAnyOrder(A, B);
    node.sandboxes.remove(A, 3);
    node.sandboxes.remove(B, 1);
    assertNothingLeft();
  }

  @Test
  void aVmThatDiedWhileNobodyWatchedIsCleared() {
    node.sandboxes.start(order(A, 3));
    node.kill();
    host.kernel.kill(1);
    node = host.node();
    assertThat(node.sandboxes.running()).isEmpty();
    assertNothingLeft();
  }

  @Test
  void aHelperThatIsAwayAtStartCostsNoRunningSandbox() {
    node.sandboxes.start(order(A, 3));
    node.kill();
    node = host.blindNode();
    node.acts.fail("slot.create", () -> failure("slot.create"));
    assertThatThrownBy(() -> node.sandboxes.recover(host.kernel))
        .isInstanceOf(HelperException.class);
    assertThat(host.kernel.running()).containsExactly(A);
    restart();
    assertThat(node.sandboxes.running()).containsExactly(new Sandboxes.Entry(A, 3));
  }

  @Test
  void ordersThatMakeNoSenseAreRefused() {
    assertReason(ErrorReason.ERROR_REASON_INVALID_ARGUMENT, () -> order("../etc", 1));
    assertReason(ErrorReason.ERROR_REASON_INVALID_ARGUMENT, () -> order(A, 0));
    assertReason(
        ErrorReason.ERROR_REASON_ENVIRONMENT_INVALID,
        () -> new StartOrder(A, 1, "debian", FakeHost.PREPARED, Map.of("1A", ""), "ticket", ""));
    assertReason(
        ErrorReason.ERROR_REASON_ENVIRONMENT_INVALID,
        () -> new StartOrder(A, 1, "debian", FakeHost.PREPARED, Map.of("A", "\0"), "ticket", ""));
    assertReason(ErrorReason.ERROR_REASON_INVALID_ARGUMENT, () -> node.sandboxes.remove("/", 1));
  }

  @Test
  void whatTheHostCannotTakeIsRefusedBeforeAnythingIsMade() {
    node.sandboxes.checkBy(order -> {
      throw new Refusal(ErrorReason.ERROR_REASON_NO_CAPACITY, "full");
    });
    assertReason(ErrorReason.ERROR_REASON_NO_CAPACITY, () -> node.sandboxes.start(order(A, 1)));
    assertThat(host.kernel.slots()).isEmpty();
    node.sandboxes.checkBy(order -> () -> {});
    node.sandboxes.start(order(A, 1));
    node.sandboxes.checkBy(order -> {
      throw new Refusal(ErrorReason.ERROR_REASON_NO_CAPACITY, "full");
    });
    assertThat(node.sandboxes.start(order(A, 1)).stepsMs()).as("it runs already").isEmpty();
  }

  @Test
  void volumesAreNumberedByTheirDirectoriesParentsFirst() {
    String first = "vol-aaaaaaaaaaaaaaaaaaaa";
    String second = "vol-bbbbbbbbbbbbbbbbbbbb";
    StartOrder order = order(Map.of("/data/cache", first, "/data", second));
    assertThat(order.volumeIds()).containsExactly(second, first);
    node.sandboxes.start(order);
    assertThat(node.guests.configured().getLast().volumes())
        .containsExactly("/data", "/data/cache");
  }

  @Test
  void aVolumeThatIsTheDiskIsBootedFromAndAnswersForAllThatTheDiskDoes() {
    String disk = "vol-aaaaaaaaaaaaaaaaaaaa";
    String data = "vol-bbbbbbbbbbbbbbbbbbbb";
    StartOrder order = order(Map.of("/", disk, "/data", data));
    assertThat(order.newDiskMib()).as("promised as a volume").isZero();
    Started started = node.sandboxes.start(order);
    assertThat(started.way()).contains(StartWay.BOOTED);
    assertThat(node.acts.done()).doesNotContain("disk.format");
    assertThat(node.guests.configured().getLast().volumes()).containsExactly("/data");
    assertThat(host.kernel.memory(A).volumes).containsExactly(data, disk);
    // Asleep and awake again it is the same one.
    node.sandboxes.states().set(A, 1, SandboxStates.Visible.SUSPENDED);
    node.sandboxes.states().set(A, 1, SandboxStates.Visible.RUNNING);
    assertThat(host.kernel.memory(A).volumes).containsExactly(data, disk);
    for (boolean full : List.of(true, false)) {
      assertReason(
          ErrorReason.ERROR_REASON_VOLUME_IN_USE,
          () -> node.sandboxes.states().take(A, 1, "sn-aaaaaaaaaaaaaaaaaaaa", full));
    }
    node.sandboxes.remove(A, 1);
    assertThat(node.acts.done()).as("what was written is in it").contains("guest.freeze");
  }

  @Test
  void aDiskThatBeginsAsACopyIsBootedFromAndItsOwn() {
    StartOrder order = from(Optional.empty(), Map.of(), "vol-aaaaaaaaaaaaaaaaaaaa");
    assertThat(order.newDiskMib()).isEqualTo(FakeHost.PREPARED.diskMib());
    assertThat(order.volumeIds()).as("it has to be there").hasSize(1);
    assertThat(node.sandboxes.start(order).way()).contains(StartWay.BOOTED);
    assertThat(node.acts.done()).contains("disk.copy").doesNotContain("disk.format");
    assertThat(host.kernel.memory(A).volumes).isEmpty();
    for (ThrowingCallable call :
        List.<ThrowingCallable>of(
            () -> from(Optional.of("sn-aaaaaaaaaaaaaaaaaaaa"), Map.of(), "vol-" + "a".repeat(20)),
            () ->
                from(
                    Optional.empty(),
                    Map.of("/", "vol-" + "b".repeat(20)),
                    "vol-" + "a".repeat(20)),
            () -> from(Optional.empty(), Map.of(), "vol-../../etc"))) {
      assertReason(ErrorReason.ERROR_REASON_INVALID_ARGUMENT, call);
    }
  }

  private static StartOrder from(
      Optional<String> snapshot, Map<String, String> volumes, String source) {
    return new StartOrder(
        A,
        1,
        "debian",
        FakeHost.PREPARED,
        Map.of(),
        "ticket",
        "",
        snapshot,
        Duration.ZERO,
        new TreeMap<>(volumes),
        Optional.of(source));
  }

  @Test
  void volumesThatMakeNoSenseAreRefused() {
    String volume = "vol-aaaaaaaaaaaaaaaaaaaa";
    for (String directory :
        List.of(
            "", "data", "/a/../b", "/a/./b", "/a//b", "/a/", "/.", "/a\0", "/proc/1", "/sys",
            "/dev")) {
      assertReason(
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT, () -> order(Map.of(directory, volume)));
    }
    assertThat(order(Map.of("/..a/devices/.b/process", volume)).volumeIds()).hasSize(1);
    assertReason(
        ErrorReason.ERROR_REASON_INVALID_ARGUMENT, () -> order(Map.of("/a", volume, "/b", volume)));
    assertReason(
        ErrorReason.ERROR_REASON_INVALID_ARGUMENT, () -> order(Map.of("/a", "vol-../../etc")));
    Map<String, String> many = new HashMap<>();
    for (char letter = 'a'; letter <= 'i'; letter++) {
      many.put("/" + letter, volume.replace('a', letter));
    }
    assertReason(ErrorReason.ERROR_REASON_INVALID_ARGUMENT, () -> order(many));
  }

  private static StartOrder order(Map<String, String> volumes) {
    return new StartOrder(A, 1, "debian", FakeHost.PREPARED, Map.of(), "ticket", "", volumes);
  }

  private void restart() {
    node.kill();
    node = host.node();
  }

  private void assertNothingLeft() {
    assertThat(host.kernel.running()).isEmpty();
    assertThat(host.kernel.slots()).isEmpty();
    assertThat(host.kernel.attachments()).isEmpty();
    assertThat(host.onDisk()).isEmpty();
  }

  private static RuntimeException failure(String act) {
    return switch (act) {
      case "slot.create", "sandbox.prepare", "vmm.stop" ->
          new HelperException(HelperException.Code.FAILED, act);
      case "machine.start", "machine.resume", "guest.configure" -> new MachineException(act);
      case "journal.claimed", "journal.running", "journal.removing" -> new JournalException(act);
      default -> new Refusal(ErrorReason.ERROR_REASON_GATEWAY_UNAVAILABLE, act);
    };
  }

  private static StartOrder order(String sandbox, long epoch) {
    return order(sandbox, epoch, FakeHost.PREPARED);
  }

  private static StartOrder order(String sandbox, long epoch, MachineSize size) {
    return new StartOrder(
        sandbox, epoch, "debian", size, Map.of("API_KEY", "cfd_placeholder"), "ticket", "");
  }

  private static void assertReason(ErrorReason reason, ThrowingCallable call) {
    assertThatThrownBy(call)
        .isInstanceOfSatisfying(
            Refusal.class, refusal -> assertThat(refusal.reason()).isEqualTo(reason));
  }
}
