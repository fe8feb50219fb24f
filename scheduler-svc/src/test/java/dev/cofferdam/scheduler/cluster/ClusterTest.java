package dev.cofferdam.scheduler.cluster;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.scheduler.placement.NodeView;
import dev.cofferdam.scheduler.placement.PlacementSpec;
import dev.cofferdam.scheduler.sandbox.Activity;
import dev.cofferdam.scheduler.sandbox.Isolation;
import dev.cofferdam.scheduler.sandbox.Samples;
import dev.cofferdam.scheduler.sandbox.Sandbox;
import dev.cofferdam.scheduler.sandbox.SandboxSize;
import dev.cofferdam.testkit.SettableClock;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class ClusterTest {
  private static final SandboxSize SIZE = new SandboxSize(1, 512, 1024);

  private final NodeConnection connection =
      new NodeConnection() {
        @Override
        public void close(String why) {}

        @Override
        public void tellDraining() {}
      };
  private final SimpleMeterRegistry meters = new SimpleMeterRegistry();
  private final Cluster cluster =
      new Cluster(
          new NoRecords(),
          address -> {
            throw new AssertionError("nobody calls " + address);
          },
          Duration.ofSeconds(10),
          SettableClock.fixed(),
          meters);

  @BeforeEach
  void join() {
    cluster.join(
        new NodeRegistration(
            "n1",
            "127.0.0.1:1",
            new NodeView.Limit(2, 1024, 65536),
            2,
            Set.of("debian"),
            Isolation.EMULATED,
            "qemu",
            "100.80.0.0/16"),
        connection);
  }

  @AfterEach
  void close() {
    cluster.close();
  }

  @Test
  void nodesAndPlacementsAreCounted() {
    assertThat(nodes("connected")).isEqualTo(1);
    assertThat(nodes("gone")).isZero();
    assertThat(cluster.reserve("n1", "a", SIZE)).isTrue();
    assertThat(cluster.reserve("n1", "b", new SandboxSize(1, 4096, 1024))).isFalse();
    assertThat(cluster.reserve("nobody", "c", SIZE)).isFalse();
    assertThat(placements("placed")).isEqualTo(1);
    assertThat(placements("node_full")).isEqualTo(2);
    cluster.leave("n1", connection);
    assertThat(nodes("connected")).isZero();
    assertThat(nodes("gone")).isEqualTo(1);
  }

  private double nodes(String presence) {
    return meters.get("cofferdam.scheduler.nodes").tag("presence", presence).gauge().value();
  }

  private double placements(String outcome) {
    return meters.get("cofferdam.scheduler.placements").tag("outcome", outcome).counter().count();
  }

  @Test
  void theNodesOwnWordBoundsWhatIsReserved() {
    cluster.heartbeat("n1", connection, free(1, 512));
    assertThat(cluster.reserve("n1", "a", SIZE)).isTrue();
    cluster.heartbeat("n1", connection, free(0, 0));
    assertThat(cluster.reserve("n1", "b", SIZE)).isFalse();
  }

  @Test
  void whatWasRemovedSinceTheNodeSpokeIsFree() {
    full();
    cluster.release("n1", "a");
    assertThat(cluster.reserve("n1", "c", SIZE)).isTrue();
    assertThat(cluster.reserve("n1", "d", SIZE)).as("our books hold as well").isFalse();
  }

  @Test
  void aWordThatWasOnItsWayMeanwhileTakesNothingBack() {
    full();
    cluster.release("n1", "a");
    cluster.heartbeat("n1", connection, free(0, 0));
    assertThat(cluster.reserve("n1", "c", SIZE)).isTrue();
  }

  @Test
  void theWordAfterThatCounts() {
    full();
    cluster.release("n1", "a");
    cluster.heartbeat("n1", connection, free(0, 0));
    cluster.heartbeat("n1", connection, free(0, 0));
    assertThat(cluster.reserve("n1", "c", SIZE)).isFalse();
  }

  @Test
  void oneThatSleepsKeepsItsSlotAndItsDiskAndGivesItsMemory() {
    Sandbox starting = Samples.starting(1, "acme", "n1");
    assertThat(cluster.reserve("n1", starting.id(), starting.size())).isTrue();
    Sandbox running = starting.started(Samples.started(Isolation.EMULATED, 1), Samples.NOW).after();
    Sandbox asleep = running.observed(Activity.SUSPENDED, 1, Samples.NOW, "").orElseThrow().after();
    SandboxSize whole = new SandboxSize(1, 1024, 64);
    cluster.heartbeat("n1", connection, free(1, 512));
    assertThat(cluster.reserve("n1", "b", whole)).isFalse();
    cluster.hold(asleep);
    assertThat(cluster.reserve("n1", "b", new SandboxSize(1, 512, 65536))).as("disk").isFalse();
    assertThat(cluster.reserve("n1", "b", whole)).isTrue();
    assertThat(cluster.reserve("n1", "c", new SandboxSize(1, 128, 64))).as("slot").isFalse();
    cluster.release("n1", "b");
    cluster.hold(running);
    assertThat(cluster.reserve("n1", "b", whole)).as("memory").isFalse();
  }

  @Test
  void oneThatIsNoLongerThereHoldsNothing() {
    Sandbox gone = Samples.starting(1, "acme", "n1");
    cluster.hold(gone.started(Samples.started(Isolation.EMULATED, 1), Samples.NOW).after());
    assertThat(cluster.reserve("n1", "a", new SandboxSize(1, 1024, 64))).isTrue();
  }

  private static Heartbeat free(long slots, long memoryMib) {
    return new Heartbeat(slots, memoryMib, Set.of(), "", Map.of());
  }

  @Test
  void whatANodeOffersNowReplacesWhatItOfferedAtFirst() {
    assertThat(view().templates()).containsExactly("debian");
    PlacementSpec alpine = new PlacementSpec("alpine", SIZE);
    cluster.heartbeat(
        "n1", connection, new Heartbeat(1, 512, Set.of("alpine"), "", Map.of(alpine, 2)));
    assertThat(view().templates()).containsExactly("alpine");
    assertThat(view().pooled()).containsEntry(alpine, 2);
    cluster.heartbeat("n1", connection, free(1, 512));
    assertThat(view().templates()).as("one that says nothing of it").containsExactly("debian");
  }

  @Test
  void nothingIsPlacedWhereTheHostIsShortOfSomething() {
    cluster.heartbeat("n1", connection, new Heartbeat(2, 1024, Set.of(), "disk is full", Map.of()));
    assertThat(cluster.reserve("n1", "a", SIZE)).isFalse();
    cluster.heartbeat("n1", connection, free(2, 1024));
    assertThat(cluster.reserve("n1", "a", SIZE)).isTrue();
  }

  private NodeView view() {
    return cluster.view().nodes().getFirst();
  }

  private void full() {
    assertThat(cluster.reserve("n1", "a", SIZE)).isTrue();
    assertThat(cluster.reserve("n1", "b", SIZE)).isTrue();
    cluster.heartbeat("n1", connection, free(0, 0));
  }

  private static final class NoRecords implements NodeRecords {
    @Override
    public List<NodeRegistration> all() {
      return List.of();
    }

    @Override
    public void put(NodeRegistration node, Instant now) {}

    @Override
    public Set<String> draining() {
      return Set.of();
    }

    @Override
    public void drain(String node, boolean draining) {}

    @Override
    public void left(String node, Instant now) {}
  }
}
