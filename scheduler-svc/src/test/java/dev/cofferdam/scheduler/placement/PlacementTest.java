package dev.cofferdam.scheduler.placement;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.scheduler.sandbox.Isolation;
import dev.cofferdam.scheduler.sandbox.SandboxSize;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.random.RandomGenerator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PlacementTest {
  private static final SandboxSize SIZE = new SandboxSize(1, 512, 1024);
  private static final PlacementSpec SPEC = new PlacementSpec("debian", SIZE);

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5})
  void whateverTheViewADecisionIsRight(long seed) {
    Random random = new Random(seed);
    for (int i = 0; i < 2_000; i++) {
      ClusterView view = randomView(random);
      List<NodeView> offering =
          view.nodes().stream().filter(node -> node.templates().contains("debian")).toList();
      boolean anyFits = offering.stream().anyMatch(node -> node.fits(SIZE));
      switch (Placement.place(view, SPEC, random)) {
        case Decision.Placed placed -> {
          assertThat(placed.node().fits(SIZE)).isTrue();
          assertThat(offering).contains(placed.node());
        }
        case Decision.NoNodes _ -> assertThat(view.nodes()).isEmpty();
        case Decision.UnknownTemplate _ -> assertThat(offering).isEmpty();
        case Decision.TooLarge _ ->
            assertThat(offering).noneMatch(node -> node.limit().holds(SIZE));
        case Decision.NoneConnected _ -> {
          assertThat(anyFits).isFalse();
          assertThat(offering).noneMatch(node -> node.present() && node.limit().holds(SIZE));
        }
        case Decision.Full _ -> {
          assertThat(anyFits).isFalse();
          assertThat(offering).anyMatch(NodeView::present);
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5})
  void ofTwoNodesTheLessLoadedIsTaken(long seed) {
    NodeView busy = node("busy", true, Set.of("debian"), 1000, 5);
    NodeView idle = node("idle", true, Set.of("debian"), 7000, 15);
    assertThat(Placement.place(new ClusterView(List.of(busy, idle)), SPEC, new Random(seed)))
        .isEqualTo(new Decision.Placed(idle));
  }

  /** The known gap between the two: log log n against log n over log log n. */
  @Test
  void twoChoicesSpreadBetterThanOne() {
    assertThat(fullest(new Random(42), true)).isLessThan(fullest(new Random(42), false));
  }

  @Test
  void theLargestIsSaidPartByPart() {
    NodeView node = node("a", true, Set.of("debian"), 8000, 10);
    assertThat(
            Placement.place(
                new ClusterView(List.of(node)),
                new PlacementSpec("debian", new SandboxSize(5, 512, 1024)),
                new Random(1)))
        .isEqualTo(new Decision.TooLarge(new NodeView.Limit(4, 8000, 100_000)));
  }

  private static int fullest(RandomGenerator random, boolean placed) {
    int[] count = new int[200];
    for (int i = 0; i < 2_000; i++) {
      int chosen = random.nextInt(count.length);
      if (placed) {
        List<NodeView> nodes = new ArrayList<>();
        for (int n = 0; n < count.length; n++) {
          nodes.add(node("n" + n, true, Set.of("debian"), 8000 - 20L * count[n], 1000 - count[n]));
        }
        var decision =
            (Decision.Placed)
                Placement.place(
                    new ClusterView(nodes),
                    new PlacementSpec("debian", new SandboxSize(1, 128, 64)),
                    random);
        chosen = Integer.parseInt(decision.node().name().substring(1));
      }
      count[chosen]++;
    }
    return java.util.Arrays.stream(count).max().orElseThrow();
  }

  @Test
  void aMachineThatWaitsIsWorthMoreThanAnEmptyNode() {
    PlacementSpec spec = new PlacementSpec("debian", new SandboxSize(1, 512, 64));
    NodeView empty = node("empty", true, Set.of("debian"), 8000, 1000);
    NodeView pooled = node("pooled", true, "", Set.of("debian"), Map.of(spec, 1), 1000, 10);
    NodeView other =
        node(
            "other",
            true,
            "",
            Set.of("debian"),
            Map.of(
                new PlacementSpec("alpine", spec.size()), 9,
                new PlacementSpec("debian", new SandboxSize(2, 512, 64)), 9),
            8000,
            1000);
    NodeView strained =
        node("strained", true, "no memory", Set.of("debian"), Map.of(spec, 9), 8000, 1000);
    for (int seed = 0; seed < 50; seed++) {
      assertThat(
              Placement.place(
                  new ClusterView(List.of(empty, other, strained, pooled)), spec, new Random(seed)))
          .isEqualTo(new Decision.Placed(pooled));
    }
    assertThat(Placement.place(new ClusterView(List.of(strained)), spec, new Random(1)))
        .isInstanceOf(Decision.Full.class);
  }

  private static ClusterView randomView(Random random) {
    List<NodeView> nodes = new ArrayList<>();
    int count = random.nextInt(6);
    for (int i = 0; i < count; i++) {
      nodes.add(
          new NodeView(
              "n" + i,
              random.nextInt(4) > 0,
              random.nextInt(5) > 0 ? "" : "short of memory",
              Isolation.EMULATED,
              random.nextInt(3) > 0 ? Set.of("debian", "alpine") : Set.of("alpine"),
              random.nextInt(3) > 0 ? Map.of() : Map.of(SPEC, 1),
              new NodeView.Limit(random.nextInt(3), random.nextInt(1024), random.nextInt(4096)),
              5,
              random.nextInt(2000) - 500,
              random.nextInt(4000),
              random.nextInt(5)));
    }
    return new ClusterView(nodes);
  }

  private static NodeView node(
      String name, boolean present, Set<String> templates, long freeMemory, int freeSlots) {
    return node(name, present, "", templates, Map.of(), freeMemory, freeSlots);
  }

  private static NodeView node(
      String name,
      boolean present,
      String pressure,
      Set<String> templates,
      Map<PlacementSpec, Integer> pooled,
      long freeMemory,
      int freeSlots) {
    return new NodeView(
        name,
        present,
        pressure,
        Isolation.EMULATED,
        templates,
        pooled,
        new NodeView.Limit(4, 8000, 100_000),
        1000,
        freeMemory,
        100_000,
        freeSlots);
  }
}
