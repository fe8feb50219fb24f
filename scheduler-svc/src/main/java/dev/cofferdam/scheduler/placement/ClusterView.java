package dev.cofferdam.scheduler.placement;

import java.util.List;
import java.util.Set;

/** Every known node at one moment. */
public record ClusterView(List<NodeView> nodes) {
  public ClusterView {
    nodes = List.copyOf(nodes);
  }

  /** The node of this name alone, or nothing. */
  public ClusterView only(String name) {
    return new ClusterView(nodes.stream().filter(node -> node.name().equals(name)).toList());
  }

  /** What is left without the nodes of these names. */
  public ClusterView without(Set<String> names) {
    return new ClusterView(nodes.stream().filter(node -> !names.contains(node.name())).toList());
  }
}
