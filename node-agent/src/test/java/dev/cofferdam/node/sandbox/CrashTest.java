package dev.cofferdam.node.sandbox;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.node.fake.FakeHost;
import dev.cofferdam.node.fake.Killed;
import dev.cofferdam.node.pool.PoolConfig;
import dev.cofferdam.node.sandbox.SandboxStates.Visible;
import dev.cofferdam.v1.ErrorReason;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletionException;
import java.util.function.Consumer;
import java.util.function.Function;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The node agent is killed at every single act; its successor leaves a sandbox whole or nothing of
 * it.
 */
class CrashTest {
  private static final String A = "sb-aaaaaaaaaaaaaaaaaaaa";
  private static final String B = "sb-bbbbbbbbbbbbbbbbbbbb";
  private static final String KEPT = "sn-aaaaaaaaaaaaaaaaaaaa";
  private static final long EPOCH = 2;
  private static final int MEMORY_MIB = 1536;
  private static final int MANY = 200;

  @TempDir Path directory;

  @Test
  void killedAtEveryActOfAStart() throws IOException {
    int runs = everyKill(node -> {}, node -> node.sandboxes.start(order(A)));
    assertThat(runs).isGreaterThan(8);
  }

  @Test
  void killedAtEveryActOfARemoval() throws IOException {
    int runs =
        everyKill(node -> node.sandboxes.start(order(A)), node -> node.sandboxes.remove(A, EPOCH));
    assertThat(runs).isGreaterThan(5);
  }

  @Test
  void killedAtEveryActOfAHandOver() throws IOException {
    int runs =
        everyKill(
            host -> host.node(new PoolConfig(1, 0, 1000, 0)),
            FakeHost.Node::refill,
            node -> node.sandboxes.start(order(A)));
    assertThat(runs).isGreaterThan(6);
  }

  @Test
  void killedAtEveryActOfAStartInAWaitingVmm() throws IOException {
    int runs =
        everyKill(
            host -> host.node(new PoolConfig(0, 1, 1000, 0)),
            FakeHost.Node::refill,
            node -> node.sandboxes.start(order(A)));
    assertThat(runs).isGreaterThan(7);
  }

  @Test
  void killedAtEveryActOfTheFillingOfThePool() throws IOException {
    int runs =
        everyKill(
            host -> host.node(new PoolConfig(1, 1, 1000, 0)), node -> {}, FakeHost.Node::refill);
    assertThat(runs).isGreaterThan(8);
  }

  @Test
  void killedAtEveryActOfAPauseAndAResume() throws IOException {
    int runs =
        everyKill(
            node -> node.sandboxes.start(order(A)),
            node -> {
              node.sandboxes.states().set(A, EPOCH, Visible.PAUSED);
              node.sandboxes.states().set(A, EPOCH, Visible.RUNNING);
            });
    assertThat(runs).isGreaterThan(5);
  }

  /** Whatever happens to the node agent, nothing happens to what the sandbox has counted. */
  @Test
  void killedAtEveryActOfASuspendAndAWake() throws IOException {
    int runs =
        unharmedByEveryKill(
            node -> counted(node, 7),
            node -> {
              node.sandboxes.states().set(A, EPOCH, Visible.SUSPENDED);
              node.sandboxes.states().set(A, EPOCH, Visible.RUNNING);
            },
            host -> assertThat(host.kernel.memory(A).counter).isEqualTo(7));
    assertThat(runs).isGreaterThan(15);
  }

  /** Its node is cut off from the scheduler, and then no longer. */
  @Test
  void killedAtEveryActOfAPartition() throws IOException {
    int runs =
        unharmedByEveryKill(
            node -> counted(node, 7),
            node -> {
              node.sandboxes.states().cutOff(A, EPOCH, "cut off");
              node.sandboxes.states().rejoin(A, EPOCH, "back");
            },
            host -> assertThat(host.kernel.memory(A).counter).isEqualTo(7));
    assertThat(runs).isGreaterThan(5);
  }

  @Test
  void killedAtEveryActOfASnapshot() throws IOException {
    int runs =
        unharmedByEveryKill(
            node -> counted(node, 7),
            node -> node.sandboxes.states().take(A, EPOCH, KEPT, true),
            host -> assertThat(host.kernel.memory(A).counter).isEqualTo(7));
    assertThat(runs).isGreaterThan(7);
  }

  /** It is what it was, or what it was put back to: memory and disk of the one or of the other. */
  @Test
  void killedAtEveryActOfARollBack() throws IOException {
    int runs =
        unharmedByEveryKill(
            node -> {
              counted(node, 10);
              node.sandboxes.states().take(A, EPOCH, KEPT, true);
              counted(node, 20);
            },
            node -> node.sandboxes.states().rollBack(A, EPOCH, KEPT),
            host -> assertThat(host.kernel.memory(A).counter).isEqualTo(onDisk(host)).isIn(10, 20));
    assertThat(runs).isGreaterThan(10);
  }

  @Test
  void killedAtEveryActOfAFork() throws IOException {
    int runs =
        everyKill(
            node -> node.sandboxes.states().take(B, EPOCH, KEPT, true),
            node ->
                node.sandboxes.start(
                    new StartOrder(
                        A,
                        EPOCH,
                        "debian",
                        FakeHost.PREPARED,
                        Map.of(),
                        "ticket",
                        "",
                        Optional.of(KEPT),
                        Duration.ZERO)));
    assertThat(runs).isGreaterThan(8);
  }

  /** Both in the guest's memory and on its disk. */
  private static void counted(FakeHost.Node node, int count) {
    if (node.sandboxes.running().stream().noneMatch(entry -> entry.sandbox().equals(A))) {
      node.sandboxes.start(order(A));
    }
    node.count(A, count);
  }

  private static int onDisk(FakeHost host) {
    try {
      return Files.readAllBytes(host.root().resolve(A).resolve("disk.ext4"))[1 << 20];
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private int everyKill(Consumer<FakeHost.Node> before, Consumer<FakeHost.Node> killed)
      throws IOException {
    return everyKill(FakeHost::node, before, killed, host -> {});
  }

  private int everyKill(
      Function<FakeHost, FakeHost.Node> first,
      Consumer<FakeHost.Node> before,
      Consumer<FakeHost.Node> killed)
      throws IOException {
    return everyKill(first, before, killed, host -> {});
  }

  private int unharmedByEveryKill(
      Consumer<FakeHost.Node> before, Consumer<FakeHost.Node> killed, Consumer<FakeHost> unharmed)
      throws IOException {
    return everyKill(FakeHost::node, before, killed, unharmed);
  }

  /**
   * Runs until the second part was not killed any more; says how often it was.
   *
   * @param unharmed looks at the host where sandbox A is there in the end
   */
  private int everyKill(
      Function<FakeHost, FakeHost.Node> first,
      Consumer<FakeHost.Node> before,
      Consumer<FakeHost.Node> killed,
      Consumer<FakeHost> unharmed)
      throws IOException {
    for (int kill = 0; kill < MANY; kill++) {
      FakeHost host = new FakeHost(Files.createDirectories(directory.resolve("run" + kill)));
      FakeHost.Node node = first.apply(host);
      // Somebody else's sandbox has to survive whatever happens to this one.
      node.sandboxes.start(order(B));
      before.accept(node);
      node.acts.killAfter(kill);
      boolean finished = attempt(node, killed);
      node.kill();
      recoverKilledEverywhere(host);
      try (FakeHost.Node successor = host.node()) {
        successor.slots.maintain();
        // Those who were told to sleep do; they have to be able to come back.
        for (Sandboxes.Present present : successor.sandboxes.present()) {
          successor.sandboxes.states().set(present.sandbox(), EPOCH, Visible.RUNNING);
        }
        assertWhole(host, successor);
        if (host.kernel.running().contains(A)) {
          unharmed.accept(host);
        }
        assertFenced(successor, B);
        if (successor.knows(A)) {
          assertFenced(successor, A);
        }
        assertWhole(host, successor);
        // Whoever had no answer asks again.
        killed.accept(successor);
        assertWhole(host, successor);
        if (host.kernel.running().contains(A)) {
          unharmed.accept(host);
        }
      }
      if (finished) {
        return kill;
      }
    }
    throw new AssertionError("it never ended");
  }

  /** Successors die while they recover, each an act later than the one before. */
  private static void recoverKilledEverywhere(FakeHost host) {
    boolean recovered = false;
    for (int kill = 0; !recovered; kill++) {
      assertThat(kill).as("acts of a recovery").isLessThan(MANY);
      try (FakeHost.Node node = host.blindNode()) {
        node.acts.killAfter(kill);
        recovered = attempt(node, n -> n.sandboxes.recover(host.kernel));
      }
    }
  }

  private static boolean attempt(FakeHost.Node node, Consumer<FakeHost.Node> work) {
    try {
      work.accept(node);
      return true;
    } catch (Killed e) {
      return false;
    } catch (CompletionException e) {
      assertThat(e).hasCauseInstanceOf(Killed.class);
      return false;
    }
  }

  /** Who gave out an older epoch was overtaken, at whatever act the crash came. */
  private static void assertFenced(FakeHost.Node node, String sandbox) {
    long older = EPOCH - 1;
    SandboxStates states = node.sandboxes.states();
    for (ThrowingCallable late :
        List.<ThrowingCallable>of(
            () -> node.sandboxes.start(order(sandbox, older)),
            () -> node.sandboxes.remove(sandbox, older),
            () -> states.set(sandbox, older, Visible.SUSPENDED),
            () -> states.take(sandbox, older, "sn-bbbbbbbbbbbbbbbbbbbb", true))) {
      assertThatThrownBy(late)
          .isInstanceOfSatisfying(
              Refusal.class,
              refusal ->
                  assertThat(refusal.reason()).isEqualTo(ErrorReason.ERROR_REASON_STALE_EPOCH));
    }
  }

  private static void assertWhole(FakeHost host, FakeHost.Node node) {
    boolean there = node.sandboxes.running().contains(new Sandboxes.Entry(A, EPOCH));
    assertThat(node.sandboxes.running()).contains(new Sandboxes.Entry(B, EPOCH));
    assertThat(node.sandboxes.freeMemoryMib())
        .isEqualTo(MEMORY_MIB - (there ? 2 : 1) * FakeHost.PREPARED.memoryMib());
    assertThat(host.kernel.running()).hasSize(there ? 2 : 1).contains(B);
    assertThat(host.kernel.slots()).hasSize(there ? 2 : 1);
    assertThat(host.kernel.attachments().values()).hasSize(there ? 2 : 1).contains(B);
    if (there) {
      assertThat(host.onDisk()).containsExactly(A, B);
      assertThat(node.sandboxes.relay(A).token()).hasSize(64);
    } else {
      assertThat(host.onDisk()).containsExactly(B);
    }
  }

  private static StartOrder order(String sandbox) {
    return order(sandbox, EPOCH);
  }

  private static StartOrder order(String sandbox, long epoch) {
    return new StartOrder(sandbox, epoch, "debian", FakeHost.PREPARED, Map.of(), "ticket", "");
  }
}
