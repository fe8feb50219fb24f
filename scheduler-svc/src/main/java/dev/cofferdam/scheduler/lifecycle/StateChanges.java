package dev.cofferdam.scheduler.lifecycle;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.scheduler.cluster.Cluster;
import dev.cofferdam.scheduler.cluster.NodeLink;
import dev.cofferdam.scheduler.sandbox.Activity;
import dev.cofferdam.scheduler.sandbox.Reconciliation;
import dev.cofferdam.scheduler.sandbox.Sandbox;
import dev.cofferdam.scheduler.sandbox.SandboxState.Live;
import dev.cofferdam.scheduler.sandbox.TimeoutAction;
import dev.cofferdam.scheduler.sandbox.Transition;
import dev.cofferdam.scheduler.snapshot.Snapshot;
import dev.cofferdam.scheduler.store.SandboxStore;
import dev.cofferdam.v1.ErrorReason;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.time.temporal.ChronoUnit;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Pausing, resuming, suspending and rolling back. The node does it and is the one to know: what it
 * answers, and what it says unasked, is what the record becomes, the newer word by the node's own
 * count. Where an answer is lost, the node is asked again until it gives one, for asking again
 * changes nothing. A scheduler that ends before that learns it from the node's next registration.
 * Safe for use by several threads.
 */
public final class StateChanges implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(StateChanges.class);

  /** Longer than the node may take for one change. */
  private static final Duration TURN = NodeLink.CHANGE_TIMEOUT.plusSeconds(10);

  private static final Duration RECORD_TURN = Duration.ofSeconds(10);
  private static final Duration AGAIN = Duration.ofSeconds(5);

  private final SandboxStore store;
  private final Sandboxes tenants;
  private final Snapshots snapshots;
  private final Cluster cluster;
  private final InstantSource clock;

  /** Calls to the node: a tenant's changes take effect in the order of their answers. */
  private final Turns calls = new Turns();

  /** Record and reservation change together. */
  private final Turns records = new Turns();

  /** What the node was asked for without giving an answer. */
  private final Map<String, Activity> unanswered = new ConcurrentHashMap<>();

  private final Map<String, Instant> notBefore = new ConcurrentHashMap<>();
  private final Backlog backlog = new Backlog(16);

  StateChanges(
      SandboxStore store,
      Sandboxes tenants,
      Snapshots snapshots,
      Cluster cluster,
      InstantSource clock) {
    this.store = store;
    this.tenants = tenants;
    this.snapshots = snapshots;
    this.cluster = cluster;
    this.clock = clock;
  }

  /**
   * Returns once the node says that it is so. The node is asked also where the record says so
   * already.
   *
   * @throws Refusal SANDBOX_NOT_FOUND, SANDBOX_NOT_RUNNING, or what the node refuses with; after
   *     NODE_UNAVAILABLE it may come about all the same
   */
  public Sandbox set(String tenant, String id, Activity wanted) {
    // Also for another tenant's: nobody takes turns on what is not his own.
    var _ = tenants.live(tenant, id, "");
    return inTurn(calls, id, TURN, () -> ask(tenants.live(tenant, id, ""), wanted));
  }

  /**
   * Puts it back to a snapshot of its own; afterwards it runs. After NODE_UNAVAILABLE it may have
   * come about all the same.
   */
  public Sandbox rollBack(String tenant, String id, String snapshotId) {
    var _ = tenants.live(tenant, id, "");
    return inTurn(
        calls,
        id,
        TURN,
        () -> {
          Sandbox sandbox = tenants.live(tenant, id, "");
          Snapshot snapshot = snapshots.ready(tenant, snapshotId);
          if (!snapshot.sandbox().equals(id)) {
            throw new Refusal(
                ErrorReason.ERROR_REASON_SNAPSHOT_UNUSABLE,
                "%s is of %s, not of %s".formatted(snapshotId, snapshot.sandbox(), id));
          }
          long change = cluster.link(sandbox.node()).rollBack(sandbox, snapshotId);
          unanswered.remove(id);
          return record(id, found -> Optional.of(found.rolledBack(snapshotId, change, now())))
              .orElseGet(() -> tenants.live(tenant, id, ""));
        });
  }

  /**
   * What a node says, asked or not. Ignored for any but the present assignment, and where it is
   * older than what is known.
   */
  void observed(String node, String id, Reconciliation.Report report, String message) {
    if (!Sandbox.isId(id)) {
      return;
    }
    var _ =
        record(
            id,
            sandbox ->
                sandbox.node().equals(node) && sandbox.epoch() == report.epoch()
                    ? sandbox.observed(report.activity(), report.change(), now(), message)
                    : Optional.empty());
  }

  /** Its lifetime is over: suspends it in the background, unless it is extended meanwhile. */
  void suspendExpired(Sandbox expired) {
    later(expired.id(), () -> suspendIfDue(expired.id()));
  }

  /** Asks again, in the background, where an answer was lost. */
  void settle() {
    Instant now = now();
    notBefore.values().removeIf(time -> !time.isAfter(now));
    unanswered.keySet().forEach(id -> later(id, () -> askAgain(id)));
  }

  @Override
  public void close() {
    backlog.close();
  }

  private void later(String id, Runnable work) {
    if (!notBefore.containsKey(id)) {
      backlog.addUnlessBusy(
          id,
          () -> {
            try {
              var _ =
                  inTurn(
                      calls,
                      id,
                      TURN,
                      () -> {
                        work.run();
                        return true;
                      });
            } catch (RuntimeException e) {
              notBefore.put(id, now().plus(AGAIN));
              log.atWarn()
                  .setMessage("state_not_changed")
                  .addKeyValue("sandbox", id)
                  .addKeyValue("why", e.getMessage())
                  .log();
            }
          });
    }
  }

  private void suspendIfDue(String id) {
    Optional<Sandbox> due = store.find(id).filter(this::isToBeSuspended);
    if (due.isPresent()) {
      var _ = ask(due.get(), Activity.SUSPENDED);
      var _ =
          record(
              id,
              sandbox ->
                  isToBeSuspended(sandbox)
                      ? Optional.of(sandbox.outlived(now()))
                      : Optional.empty());
    }
  }

  private boolean isToBeSuspended(Sandbox sandbox) {
    return sandbox.state() instanceof Live
        && sandbox.lifetime().action() == TimeoutAction.SUSPEND
        && sandbox.lifetime().isOver(now());
  }

  private void askAgain(String id) {
    Activity wanted = unanswered.get(id);
    Optional<Sandbox> live = store.find(id).filter(found -> found.state() instanceof Live);
    if (wanted == null || live.isEmpty()) {
      unanswered.remove(id);
    } else {
      var _ = ask(live.get(), wanted);
    }
  }

  private Sandbox ask(Sandbox sandbox, Activity wanted) {
    NodeLink link = cluster.link(sandbox.node());
    long change;
    try {
      change = link.setState(sandbox, wanted);
    } catch (RuntimeException e) {
      if (e instanceof Refusal refusal
          && refusal.reason() == ErrorReason.ERROR_REASON_NODE_UNAVAILABLE) {
        notBefore.put(sandbox.id(), now().plus(AGAIN));
        unanswered.put(sandbox.id(), wanted);
      } else {
        unanswered.remove(sandbox.id());
      }
      throw e;
    }
    unanswered.remove(sandbox.id());
    return record(sandbox.id(), found -> found.observed(wanted, change, now(), ""))
        // It ends while it changes, which the caller is told as anybody else.
        .orElseGet(() -> tenants.live(sandbox.tenant(), sandbox.id(), ""));
  }

  /** What is on record then; empty when it is not live. */
  private Optional<Sandbox> record(String id, Function<Sandbox, Optional<Transition>> change) {
    return inTurn(
        records,
        id,
        RECORD_TURN,
        () -> {
          while (true) {
            Optional<Sandbox> found =
                store.find(id).filter(sandbox -> sandbox.state() instanceof Live);
            Optional<Transition> transition = found.flatMap(change);
            if (transition.isEmpty()) {
              return found;
            }
            if (store.apply(transition.get())) {
              Sandbox after = transition.get().after();
              cluster.hold(after);
              return Optional.of(after);
            }
          }
        });
  }

  private static <T> T inTurn(Turns turns, String id, Duration limit, Supplier<T> work) {
    try {
      return turns
          .take(id, limit, work)
          .orElseThrow(() ->
              new Refusal(
                  ErrorReason.ERROR_REASON_NODE_UNAVAILABLE,
                  "another change of " + id + " has been under way for " + limit));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new Refusal(ErrorReason.ERROR_REASON_NODE_UNAVAILABLE, "the scheduler is stopping");
    }
  }

  private Instant now() {
    return clock.instant().truncatedTo(ChronoUnit.MICROS);
  }
}
