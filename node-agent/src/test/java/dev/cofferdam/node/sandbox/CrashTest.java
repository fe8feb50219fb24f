package dev.cofferdam.node.sandbox;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.node.fake.FakeHost;
import dev.cofferdam.node.fake.Killed;
import dev.cofferdam.node.pool.PoolConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.CompletionException;
import java.util.function.Consumer;
import java.util.function.Function;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The node agent is killed at every single act; its successor leaves a sandbox whole or nothing of
 * it.
 */
class CrashTest {
  private static final String A = "sb-aaaaaaaaaaaaaaaaaaaa";
  private static final String B = "sb-bbbbbbbbbbbbbbbbbbbb";
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
        everyKill(node -> node.sandboxes.start(order(A)), node -> node.sandboxes.remove(A, 1));
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

  /** Runs until the second part was not killed any more; says how often it was. */
  private int everyKill(Consumer<FakeHost.Node> before, Consumer<FakeHost.Node> killed)
      throws IOException {
    return everyKill(FakeHost::node, before, killed);
  }

  private int everyKill(
      Function<FakeHost, FakeHost.Node> first,
      Consumer<FakeHost.Node> before,
      Consumer<FakeHost.Node> killed)
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
        assertWhole(host, successor);
      }
      if (finished) {
        return kill;
      }
    }
    throw new AssertionError("it never ended");
  }

  /** The first few successors die while they recover. */
  private static void recoverKilledEverywhere(FakeHost host) {
    for (int kill = 0; kill < 6; kill++) {
      try (FakeHost.Node node = host.blindNode()) {
        node.acts.killAfter(kill);
        attempt(node, n -> n.sandboxes.recover(host.kernel));
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

  private static void assertWhole(FakeHost host, FakeHost.Node node) {
    boolean there = node.sandboxes.running().contains(new Sandboxes.Entry(A, 1));
    assertThat(node.sandboxes.running()).contains(new Sandboxes.Entry(B, 1));
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
    return new StartOrder(sandbox, 1, "debian", FakeHost.PREPARED, Map.of(), "ticket", "");
  }
}
