package dev.cofferdam.scheduler.placement;

import dev.cofferdam.scheduler.placement.Decision.Full;
import dev.cofferdam.scheduler.placement.Decision.NoNodes;
import dev.cofferdam.scheduler.placement.Decision.NoneConnected;
import dev.cofferdam.scheduler.placement.Decision.Placed;
import dev.cofferdam.scheduler.placement.Decision.TooLarge;
import dev.cofferdam.scheduler.placement.Decision.UnknownTemplate;
import dev.cofferdam.scheduler.sandbox.SandboxSize;
import java.util.ArrayList;
import java.util.List;
import java.util.random.RandomGenerator;

/**
 * The better of two nodes drawn at random among those that fit (Mitzenmacher, "The Power of Two
 * Choices"): nearly as even as asking all, and schedulers that decide on a slightly old view do not
 * all run to the same node.
 *
 * <p>Only nodes that have the template ready count: the others would refuse the start. Those where
 * a machine of it and of that size waits come first, for a hand-over is many times faster than a
 * restore.
 */
public final class Placement {
  private Placement() {}

  public static Decision place(ClusterView view, PlacementSpec spec, RandomGenerator random) {
    if (view.nodes().isEmpty()) {
      return new NoNodes();
    }
    List<NodeView> offering =
        view.nodes().stream().filter(node -> node.templates().contains(spec.template())).toList();
    if (offering.isEmpty()) {
      return new UnknownTemplate();
    }
    if (offering.stream().noneMatch(node -> node.limit().holds(spec.size()))) {
      return new TooLarge(largest(offering));
    }
    List<NodeView> fitting = fitting(offering, spec.size());
    if (!fitting.isEmpty()) {
      List<NodeView> pooled = fitting.stream().filter(node -> node.hasPooled(spec)).toList();
      return new Placed(betterOfTwo(pooled.isEmpty() ? fitting : pooled, spec.size(), random));
    }
    return offering.stream().anyMatch(node -> node.present() && node.limit().holds(spec.size()))
        ? new Full()
        : new NoneConnected();
  }

  private static List<NodeView> fitting(List<NodeView> nodes, SandboxSize size) {
    List<NodeView> fitting = new ArrayList<>();
    for (NodeView node : nodes) {
      if (node.fits(size)) {
        fitting.add(node);
      }
    }
    return fitting;
  }

  private static NodeView betterOfTwo(
      List<NodeView> nodes, SandboxSize size, RandomGenerator random) {
    int first = random.nextInt(nodes.size());
    if (nodes.size() == 1) {
      return nodes.getFirst();
    }
    // The second is drawn among the others: a node is never compared with itself.
    int second = (first + 1 + random.nextInt(nodes.size() - 1)) % nodes.size();
    NodeView one = nodes.get(first);
    NodeView other = nodes.get(second);
    return other.loadWith(size) < one.loadWith(size) ? other : one;
  }

  private static NodeView.Limit largest(List<NodeView> nodes) {
    int vcpus = 0;
    int memory = 0;
    int disk = 0;
    for (NodeView node : nodes) {
      vcpus = Math.max(vcpus, node.limit().vcpus());
      memory = Math.max(memory, node.limit().memoryMib());
      disk = Math.max(disk, node.limit().diskMib());
    }
    return new NodeView.Limit(vcpus, memory, disk);
  }
}
