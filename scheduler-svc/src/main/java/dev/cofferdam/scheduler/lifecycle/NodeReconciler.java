package dev.cofferdam.scheduler.lifecycle;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.scheduler.cluster.Cluster;
import dev.cofferdam.scheduler.cluster.NodeConnection;
import dev.cofferdam.scheduler.cluster.NodeRegistration;
import dev.cofferdam.scheduler.sandbox.EndCause;
import dev.cofferdam.scheduler.sandbox.Reconciliation;
import dev.cofferdam.scheduler.sandbox.Sandbox;
import dev.cofferdam.scheduler.store.SandboxStore;
import dev.cofferdam.v1.ErrorReason;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Takes in a node that connects, and brings records and node together. */
public final class NodeReconciler {
  private static final Logger log = LoggerFactory.getLogger(NodeReconciler.class);

  /** How long before its stream opened a node may have made its list of sandboxes. */
  private static final Duration LIST_AGE = Duration.ofSeconds(2);

  private final SandboxStore store;
  private final Cluster cluster;
  private final SandboxEnder ender;
  private final StateChanges states;
  private final Snapshots snapshots;
  private final Volumes volumes;

  NodeReconciler(
      SandboxStore store,
      Cluster cluster,
      SandboxEnder ender,
      StateChanges states,
      Snapshots snapshots,
      Volumes volumes) {
    this.store = store;
    this.cluster = cluster;
    this.ender = ender;
    this.states = states;
    this.snapshots = snapshots;
    this.volumes = volumes;
  }

  /**
   * @param sandboxes by id, as the node says
   * @param opened when its stream was opened
   * @return what the node has to remove
   * @throws Refusal NODE_UNAVAILABLE when its list may be too old to judge by; it connects again
   */
  public List<String> register(
      NodeRegistration node,
      Map<String, Reconciliation.Report> sandboxes,
      NodeConnection connection,
      Instant opened) {
    List<Sandbox> records =
        store.ofNode(node.name(), sandboxes.keySet().stream().filter(Sandbox::isId).toList());
    Reconciliation.Outcome outcome =
        Reconciliation.decide(node.name(), records, sandboxes, opened.minus(LIST_AGE));
    if (!outcome.unsure().isEmpty()) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_NODE_UNAVAILABLE,
          "%s began or changed about when the list of sandboxes was made; register again"
              .formatted(outcome.unsure().getFirst().id()));
    }
    outcome
        .ahead()
        .forEach(id ->
            log.atError()
                .setMessage("epoch_ahead_of_record")
                .addKeyValue("node", node.name())
                .addKeyValue("sandbox", id)
                .log());
    cluster.join(node, connection);
    for (Sandbox lost : outcome.lost()) {
      end(lost.id(), "node " + node.name() + " came back without it");
    }
    for (Sandbox changed : outcome.changed()) {
      Reconciliation.Report report = Objects.requireNonNull(sandboxes.get(changed.id()));
      states.observed(node.name(), changed.id(), report, "as its node found it");
    }
    ender.retryAllNow();
    snapshots.retryAllNow();
    volumes.retryAllNow();
    return outcome.remove();
  }

  /** A VM ended by itself. Ignored for any but the present assignment. */
  public void lost(String node, String id, long epoch, String message) {
    Optional<Sandbox> sandbox = store.find(id);
    if (sandbox.isPresent()
        && sandbox.get().node().equals(node)
        && sandbox.get().epoch() == epoch) {
      end(id, message.isEmpty() ? "its VM ended" : message);
    }
  }

  /** It changed without being asked to, or the answer to whoever asked was lost. */
  public void changed(String node, String id, Reconciliation.Report report, String message) {
    states.observed(node, id, report, message);
  }

  private void end(String id, String message) {
    var _ = ender.stop(id, EndCause.LOST, message);
    ender.finishLater(id);
  }
}
