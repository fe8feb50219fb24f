package dev.cofferdam.scheduler.lifecycle;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.scheduler.cluster.Cluster;
import dev.cofferdam.scheduler.placement.ClusterView;
import dev.cofferdam.scheduler.placement.Decision;
import dev.cofferdam.scheduler.placement.NodeView;
import dev.cofferdam.scheduler.placement.Placement;
import dev.cofferdam.scheduler.placement.PlacementSpec;
import dev.cofferdam.scheduler.sandbox.SandboxSize;
import dev.cofferdam.scheduler.sandbox.Texts;
import dev.cofferdam.v1.ErrorReason;
import java.util.Optional;
import java.util.Set;
import java.util.random.RandomGenerator;

/** Finds a node for a sandbox and takes the room there. Safe for use by several threads. */
final class Reservations {
  /** A view is old when another create takes the place; each try looks again. */
  private static final int TRIES = 5;

  private final Cluster cluster;
  private final RandomGenerator random;

  Reservations(Cluster cluster, RandomGenerator random) {
    this.cluster = cluster;
    this.random = random;
  }

  /**
   * @param only that may be taken: it keeps the sandbox's volumes. Empty: any
   * @throws Refusal that says what is missing
   */
  NodeView reserve(String id, CreateSpec spec, Optional<String> only) {
    String which = only.map(node -> "node " + node + ", where its volumes lie,").orElse("no node");
    for (int i = 0; i < TRIES; i++) {
      ClusterView view = only.map(cluster.view()::only).orElseGet(cluster::view);
      NodeView node =
          switch (place(view, spec)) {
            case Decision.Placed placed -> placed.node();
            case Decision.NoNodes _ ->
                throw new Refusal(
                    ErrorReason.ERROR_REASON_NODE_UNAVAILABLE,
                    only.isPresent() ? which + " is not known" : "no node has registered yet");
            case Decision.UnknownTemplate _ ->
                throw new Refusal(
                    ErrorReason.ERROR_REASON_TEMPLATE_NOT_FOUND,
                    which
                        + (only.isPresent() ? " does not offer" : " offers")
                        + " the template "
                        + Texts.quoted(spec.template()));
            case Decision.TooLarge tooLarge ->
                throw new Refusal(
                    ErrorReason.ERROR_REASON_SIZE_OUT_OF_RANGE,
                    "size is %s, expected at most %s"
                        .formatted(
                            show(
                                spec.size().vcpus(),
                                spec.size().memoryMib(),
                                spec.size().diskMib()),
                            show(
                                tooLarge.largest().vcpus(),
                                tooLarge.largest().memoryMib(),
                                tooLarge.largest().diskMib())));
            case Decision.NoneConnected _ ->
                throw new Refusal(
                    ErrorReason.ERROR_REASON_NODE_UNAVAILABLE,
                    only.isPresent()
                        ? which + " is not connected"
                        : "no node that could hold it is connected");
            case Decision.Full _ -> throw full(only, spec);
          };
      if (cluster.reserve(node.name(), id, spec.size())) {
        return node;
      }
    }
    throw full(only, spec);
  }

  /**
   * @param refused names of nodes that are not to be asked again
   */
  Optional<NodeView> reserveElsewhere(String id, CreateSpec spec, Set<String> refused) {
    for (int i = 0; i < TRIES; i++) {
      if (!(place(cluster.view().without(refused), spec) instanceof Decision.Placed placed)) {
        return Optional.empty();
      }
      if (cluster.reserve(placed.node().name(), id, spec.size())) {
        return Optional.of(placed.node());
      }
    }
    return Optional.empty();
  }

  /**
   * On this node and no other: it keeps what the sandbox is made of.
   *
   * @throws Refusal NODE_UNAVAILABLE or NO_CAPACITY
   */
  NodeView reserveOn(String node, String id, SandboxSize size) {
    NodeView view =
        cluster.view().nodes().stream()
            .filter(each -> each.name().equals(node) && each.present())
            .findFirst()
            .orElseThrow(() ->
                new Refusal(
                    ErrorReason.ERROR_REASON_NODE_UNAVAILABLE,
                    "node " + node + ", which keeps what it is made of, is not connected"));
    if (!cluster.reserve(node, id, size)) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_NO_CAPACITY,
          "node %s, which keeps what it is made of, has no room for %s"
              .formatted(node, show(size.vcpus(), size.memoryMib(), size.diskMib())));
    }
    return view;
  }

  private Decision place(ClusterView view, CreateSpec spec) {
    return Placement.place(view, new PlacementSpec(spec.offer(), spec.size()), random);
  }

  private static Refusal full(Optional<String> only, CreateSpec spec) {
    return new Refusal(
        ErrorReason.ERROR_REASON_NO_CAPACITY,
        only.map(node -> "node " + node + ", where its volumes lie, has no room for ")
                .orElse("no node has room for ")
            + show(spec.size().vcpus(), spec.size().memoryMib(), spec.size().diskMib()));
  }

  private static String show(int vcpus, int memoryMib, int diskMib) {
    return "%d vCPUs, %d MiB of memory, %d MiB of disk".formatted(vcpus, memoryMib, diskMib);
  }
}
