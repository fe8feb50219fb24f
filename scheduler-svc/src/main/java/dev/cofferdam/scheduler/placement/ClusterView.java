package dev.cofferdam.scheduler.placement;

import java.util.List;

/** Every known node at one moment. */
public record ClusterView(List<NodeView> nodes) {
  public ClusterView {
    nodes = List.copyOf(nodes);
  }
}
