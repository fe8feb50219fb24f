package dev.cofferdam.node.pool;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.node.fake.FakeHost;
import dev.cofferdam.node.guest.GuestException;
import dev.cofferdam.node.machine.MachineException;
import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.node.machine.MachineSpec;
import dev.cofferdam.node.sandbox.Sandboxes;
import dev.cofferdam.node.sandbox.StartOrder;
import dev.cofferdam.node.sandbox.StartWay;
import dev.cofferdam.node.sandbox.Started;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The pool and the sandboxes that take from it. */
class MachinePoolTest {
  private static final String A = "sb-aaaaaaaaaaaaaaaaaaaa";
  private static final String B = "sb-bbbbbbbbbbbbbbbbbbbb";
  private static final PoolConfig BOTH = new PoolConfig(1, 1, 1000, 500);

  @TempDir Path directory;
  private FakeHost host;
  private FakeHost.Node node;

  @BeforeEach
  void start() {
    host = new FakeHost(directory);
    node = host.node(BOTH);
  }

  @AfterEach
  void stop() {
    node.close();
  }

  @Test
  void aQuietHostFillsItsPoolWithoutASandboxOrAPromise() {
    assertThat(node.pool.size()).isEqualTo(2);
    assertThat(restored()).isEqualTo(Map.of("debian", 1));
    assertThat(depth("restored")).isEqualTo(1);
    assertThat(depth("waiting")).isEqualTo(1);
    assertThat(node.meters.get("cofferdam.node.pool.missing").gauge().value()).isZero();
    assertThat(host.kernel.running()).hasSize(2);
    assertThat(node.sandboxes.running()).isEmpty();
    assertThat(node.sandboxes.freeMemoryMib()).isEqualTo(1536);
    assertThat(node.guests.configured()).as("nobody was told who it is").isEmpty();
    List<String> acts = node.acts.done();
    assertThat(acts.indexOf("guest.rehearse"))
        .isBetween(acts.indexOf("machine.resume"), acts.indexOf("machine.pause"));
    assertThat(acts).noneMatch(act -> act.startsWith("journal"));
  }

  @Test
  void aDrainedNodeLetsItsPoolGoAndFillsItWhenItIsDrainedNoMore() {
    node.sandboxes.start(order(A, FakeHost.PREPARED));
    node.refill();
    assertThat(node.pool.size()).isEqualTo(2);
    node.pool.drain(true);
    node.refill();
    assertThat(node.pool.size()).isZero();
    assertThat(host.kernel.running()).containsExactly(A);
    assertThat(host.onDisk()).containsExactly(A);
    assertThat(node.meters.get("cofferdam.node.pool.missing").gauge().value())
        .as("nothing is missing that an operator does not want")
        .isZero();
    for (int i = 0; i < 3; i++) {
      node.refill();
    }
    assertThat(node.pool.size()).isZero();

    node.pool.drain(false);
    node.refill();
    assertThat(node.pool.size()).isEqualTo(2);
  }

  @Test
  void aStartTakesWhatIsRestoredAndMakesNothing() {
    int before = node.acts.done().size();
    Started started = node.sandboxes.start(order(A, FakeHost.PREPARED));

    assertThat(started.way()).contains(StartWay.POOLED);
    List<String> acts = node.acts.done().subList(before, node.acts.done().size());
    assertThat(acts)
        .doesNotContain("slot.create", "machine.start", "machine.load", "sandbox.prepare")
        .contains("machine.resume", "gateway.attach", "guest.configure");
    assertThat(acts.indexOf("journal.claimed.written")).isLessThan(acts.indexOf("gateway.attach"));
    assertThat(acts.indexOf("journal.claimed.written")).isLessThan(acts.indexOf("guest.configure"));
    assertThat(host.kernel.running()).contains(A);
    assertThat(host.kernel.attachments()).containsValue(A);
    assertThat(host.onDisk()).contains(A);
    assertThat(node.sandboxes.freeMemoryMib()).isEqualTo(1536 - 512);
    assertThat(claims("restored")).isEqualTo(1);
  }

  @Test
  void withNothingRestoredAWaitingVmmIsLoadedAndThenOneIsMade() {
    node.sandboxes.start(order(A, FakeHost.PREPARED));
    int before = node.acts.done().size();
    assertThat(node.sandboxes.start(order(B, FakeHost.PREPARED)).way()).contains(StartWay.RESTORED);
    assertThat(node.acts.done().subList(before, node.acts.done().size()))
        .contains("machine.load")
        .doesNotContain("machine.start", "slot.create");
    assertThat(claims("waiting")).isEqualTo(1);
    assertThat(node.pool.size()).isZero();
    assertThat(host.onDisk()).containsExactly(A, B);
    node.sandboxes.remove(A, 1);

    before = node.acts.done().size();
    assertThat(node.sandboxes.start(order(A, 2, FakeHost.PREPARED)).way())
        .contains(StartWay.RESTORED);
    assertThat(node.acts.done().subList(before, node.acts.done().size()))
        .contains("machine.start", "slot.create");
    assertThat(claims("nothing")).isEqualTo(1);
  }

  @Test
  void whatWasTakenIsMadeAgainOnceTheHostIsQuiet() {
    node.sandboxes.start(order(A, FakeHost.PREPARED));
    node.pool.maintain();
    assertThat(node.pool.size()).as("its first commands come first").isEqualTo(1);
    node.refill();
    assertThat(node.pool.size()).isEqualTo(2);
    assertThat(restored()).isEqualTo(Map.of("debian", 1));
  }

  @Test
  void aLargerDiskIsGrownIntoAndAnotherMemoryIsBootedAndNeitherTakesFromThePool()
      throws IOException {
    MachineSize larger = new MachineSize(1, 512, 100);
    assertThat(node.sandboxes.start(order(A, larger)).way()).contains(StartWay.RESIZED);
    assertThat(Files.size(host.root().resolve(A).resolve(MachineSpec.DISK))).isEqualTo(100L << 20);
    assertThat(node.acts.done())
        .containsSubsequence("machine.load", "machine.grow", "machine.resume", "guest.grow");

    MachineSize other = new MachineSize(1, 256, 64);
    assertThat(node.sandboxes.start(order(B, other)).way()).contains(StartWay.BOOTED);
    assertThat(node.pool.size()).isEqualTo(2);
  }

  @Test
  void aFurtherPreparedSizeIsRestoredAndHasAPoolOfItsOwn() {
    restart(BOTH);
    assertThat(node.sandboxes.start(order(A, FakeHost.LARGER)).way()).contains(StartWay.BOOTED);
    node.sandboxes.remove(A, 1);

    host.larger = true;
    assertThat(node.sandboxes.start(order(A, 2, FakeHost.LARGER)).way())
        .contains(StartWay.RESTORED);
    node.sandboxes.remove(A, 2);
    node.slots.maintain();
    node.refill();
    assertThat(restored()).isEqualTo(Map.of("debian", 1, "debian 2x1024", 1));
    assertThat(node.sandboxes.start(order(A, 3, FakeHost.LARGER)).way()).contains(StartWay.POOLED);
    assertThat(node.sandboxes.freeMemoryMib()).isEqualTo(1536 - 1024);
    assertThat(restored()).isEqualTo(Map.of("debian", 1, "debian 2x1024", 0));

    MachineSize largerDisk = new MachineSize(2, 1024, 100);
    node.sandboxes.remove(A, 3);
    assertThat(node.sandboxes.start(order(A, 4, largerDisk)).way()).contains(StartWay.RESIZED);
  }

  @Test
  void aFurtherSizeHasOfThePoolWhatItsBudgetLeaves() {
    host.larger = true;
    restart(new PoolConfig(1, 0, PoolConfig.RESTORED_MIB, 500));
    assertThat(restored()).isEqualTo(Map.of("debian", 1, "debian 2x1024", 0));
    restart(new PoolConfig(1, 0, 2 * PoolConfig.RESTORED_MIB, 500));
    assertThat(restored()).isEqualTo(Map.of("debian", 1, "debian 2x1024", 1));
  }

  /** A VMM's files are held to the largest that it was given. */
  @Test
  void aDiskThatIsToGrowHasItsSizeBeforeItsVmmStarts() {
    node.acts.fail(
        "machine.start",
        () -> {
          try {
            return new MachineException(
                "disk of " + Files.size(host.root().resolve(A).resolve(MachineSpec.DISK)));
          } catch (IOException e) {
            return new MachineException("no disk", e);
          }
        });
    assertThatThrownBy(() -> node.sandboxes.start(order(A, new MachineSize(1, 512, 100))))
        .hasMessageContaining("disk of " + (100L << 20));
  }

  @Test
  void oneThatDiesInThePoolIsHandedToNobody() {
    host.kernel.slots().forEach(host.kernel::kill);
    assertThat(restored()).isEqualTo(Map.of("debian", 0));
    assertThat(
            node.meters.get("cofferdam.node.pool.dropped").tag("why", "failed").counter().count())
        .isEqualTo(2);
    assertThat(node.pool.size()).isZero();
    node.refill();
    assertThat(restored()).isEqualTo(Map.of("debian", 1));
    assertThat(host.kernel.running()).hasSize(2);
  }

  @Test
  void oneThatDoesNotWakeCostsItsStartNothingButTime() {
    node.acts.fail("machine.resume", () -> new MachineException("broken"));
    assertThat(restored()).isEqualTo(Map.of("debian", 1));
    assertThatThrownBy(() -> node.sandboxes.start(order(A, FakeHost.PREPARED)))
        .as("here the next one does not wake either")
        .isInstanceOf(RuntimeException.class);
    node.acts.heal();
    assertThat(node.pool.size()).isZero();
    assertThat(node.sandboxes.start(order(A, FakeHost.PREPARED)).way()).contains(StartWay.RESTORED);
    node.sandboxes.remove(A, 1);
    node.slots.maintain();
    node.refill();
    assertThat(host.kernel.running()).hasSize(2);
    assertThat(host.onDisk()).hasSize(2);
  }

  @Test
  void aStartThatFailsAfterItsClaimLeavesNothingOfTheMachine() {
    for (String act :
        List.of("journal.claimed", "gateway.attach", "guest.configure", "journal.running")) {
      restart(BOTH);
      node.acts.fail(act, () -> new MachineException(act));
      assertThatThrownBy(() -> node.sandboxes.start(order(A, FakeHost.PREPARED)))
          .as(act)
          .isNotNull();
      node.acts.heal();
      node.slots.maintain();
      assertThat(host.kernel.running()).as(act).hasSize(1).doesNotContain(A);
      assertThat(host.onDisk()).as(act).hasSizeBetween(1, 2).doesNotContain(A);
      assertThat(host.kernel.attachments()).as(act).isEmpty();
      assertThat(node.sandboxes.freeMemoryMib()).as(act).isEqualTo(1536);
    }
  }

  @Test
  void aGuestThatDoesNotRehearseIsThrownAwayAndTriedAgain() {
    node.kill();
    node = host.unfilled(BOTH);
    node.acts.fail("guest.rehearse", () -> new GuestException("mute"));
    node.refill();
    assertThat(restored()).isEqualTo(Map.of("debian", 0));
    node.slots.maintain();
    assertThat(host.kernel.running()).isEmpty();
    assertThat(host.kernel.slots()).isEmpty();
    assertThat(host.onDisk()).isEmpty();
    node.acts.heal();
    node.refill();
    assertThat(node.pool.size()).isEqualTo(2);
  }

  @Test
  void aSlotThatASandboxNeedsIsGivenUp() {
    for (int n = 0; n < FakeHost.SLOTS; n++) {
      String sandbox = "sb-" + "abcd".substring(n, n + 1).repeat(20);
      assertThat(node.sandboxes.start(order(sandbox, new MachineSize(1, 256, 64))).way())
          .contains(StartWay.BOOTED);
    }
    assertThat(node.pool.size()).isZero();
    assertThat(host.kernel.running()).hasSize(FakeHost.SLOTS);
    node.refill();
    assertThat(node.pool.size()).as("none is left for it").isZero();
  }

  @Test
  void aHostShortOfMemoryGetsAllOfItBack() {
    host.load.availableMib = 100;
    node.refill();
    assertThat(node.pool.size()).isZero();
    assertThat(host.kernel.running()).isEmpty();
    assertThat(host.onDisk()).isEmpty();
    node.sandboxes.start(order(A, FakeHost.PREPARED));
    host.load.availableMib = 10_000;
    node.refill();
    assertThat(node.pool.size()).isEqualTo(2);
  }

  @Test
  void aTenantsTemplateHasAPoolOnceItWasAskedForAndCountsApart() {
    host.tenants = true;
    restart(new PoolConfig(1, 0, 1000, 500));
    assertThat(restored()).isEqualTo(Map.of("debian", 1, FakeHost.TENANTS, 0));
    StartOrder first = order(A, 1, FakeHost.TENANTS, FakeHost.PREPARED);
    assertThat(node.sandboxes.start(first).way()).contains(StartWay.RESTORED);
    node.refill();
    assertThat(restored()).isEqualTo(Map.of("debian", 1, FakeHost.TENANTS, 1));
    assertThat(depth("restored", "tenant")).isEqualTo(1);
    assertThat(depth("restored")).isEqualTo(1);

    StartOrder second = order(B, 1, FakeHost.TENANTS, FakeHost.PREPARED);
    assertThat(node.sandboxes.start(second).way()).contains(StartWay.POOLED);
    assertThat(claims("nothing", "tenant")).isEqualTo(1);
    assertThat(claims("restored", "tenant")).isEqualTo(1);
    assertThat(claims("nothing") + claims("restored")).isZero();

    // What nobody asks for any more goes, and the operator's stays.
    host.time.addAndGet(Duration.ofMinutes(5).toNanos());
    node.refill();
    assertThat(restored()).isEqualTo(Map.of("debian", 1, FakeHost.TENANTS, 0));
  }

  @Test
  void aTenantsTemplateThatIsGoneLeavesNothingInThePool() {
    host.tenants = true;
    restart(new PoolConfig(1, 0, 1000, 500));
    node.sandboxes.start(order(A, 1, FakeHost.TENANTS, FakeHost.PREPARED));
    node.refill();
    assertThat(node.pool.size()).isEqualTo(2);
    host.tenants = false;
    node.refill();
    assertThat(restored()).isEqualTo(Map.of("debian", 1));
    assertThat(node.pool.size()).isEqualTo(1);
  }

  @Test
  void theNextProcessDestroysWhatThisOneHeldAndAdoptsWhatItHandedOver() {
    node.sandboxes.start(order(A, FakeHost.PREPARED));
    node.refill();
    assertThat(host.kernel.running()).hasSize(3);
    node.kill();
    node = host.node();
    assertThat(host.kernel.running()).containsExactly(A);
    assertThat(host.onDisk()).containsExactly(A);
    assertThat(host.kernel.slots()).hasSize(1);
    assertThat(node.sandboxes.running()).containsExactly(new Sandboxes.Entry(A, 1));
    node.sandboxes.remove(A, 1);
    assertThat(host.onDisk()).isEmpty();
  }

  @Test
  void whatASandboxLeftBehindIsNoWayIntoTheNext() throws IOException {
    Path left = Files.createDirectories(host.root().resolve(A));
    Files.writeString(left.resolve("planted"), "by an assignment before");
    assertThat(node.sandboxes.start(order(A, FakeHost.PREPARED)).way()).contains(StartWay.POOLED);
    assertThat(host.root().resolve(A).resolve("planted")).doesNotExist();
    assertThat(host.root().resolve(A).resolve(MachineSpec.DISK)).isRegularFile();
  }

  private void restart(PoolConfig config) {
    node.kill();
    node = host.node(config);
  }

  private double depth(String stage) {
    return depth(stage, "operator");
  }

  private double depth(String stage, String kind) {
    return node.meters
        .get("cofferdam.node.pool.depth")
        .tag("stage", stage)
        .tag("kind", kind)
        .gauge()
        .value();
  }

  private double claims(String found) {
    return claims(found, "operator");
  }

  private double claims(String found, String kind) {
    return node.meters
        .get("cofferdam.node.pool.claims")
        .tag("found", found)
        .tag("kind", kind)
        .counter()
        .count();
  }

  private Map<String, Integer> restored() {
    Map<String, Integer> restored = new HashMap<>();
    node.pool
        .restored()
        .forEach((offer, count) -> {
          boolean first = offer.template().size().equals(FakeHost.PREPARED);
          restored.put(offer.name() + (first ? "" : " 2x1024"), count);
        });
    return restored;
  }

  private static StartOrder order(String sandbox, MachineSize size) {
    return order(sandbox, 1, size);
  }

  private static StartOrder order(String sandbox, long epoch, MachineSize size) {
    return order(sandbox, epoch, "debian", size);
  }

  private static StartOrder order(String sandbox, long epoch, String template, MachineSize size) {
    return new StartOrder(sandbox, epoch, template, size, Map.of(), "ticket", "");
  }
}
