package dev.cofferdam.scheduler.lifecycle;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.scheduler.broker.BrokerClient;
import dev.cofferdam.scheduler.cluster.Cluster;
import dev.cofferdam.scheduler.cluster.Standing;
import dev.cofferdam.scheduler.sandbox.EventDraft;
import dev.cofferdam.scheduler.store.NodeStore;
import dev.cofferdam.v1.ErrorReason;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.time.temporal.ChronoUnit;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Nodes that were not heard of for too long: the grants of their sandboxes are out of use until
 * they are back, for what a cut-off node does is seen by nobody. Its sandboxes stay. What is begun
 * is on record before the broker is told, and tried again until it was.
 */
final class NodeLoss implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(NodeLoss.class);

  /** After a start of this process: its own absence is not the nodes'. */
  private static final Duration GRACE = Duration.ofSeconds(10);

  private static final Duration TURN = Duration.ofSeconds(30);

  private final NodeStore store;
  private final Cluster cluster;
  private final BrokerClient broker;
  private final Duration lostAfter;
  private final InstantSource clock;
  private final Instant begun;

  /** Where the end of a stream was not seen: since it was found missing. Of one thread. */
  private final Map<String, Instant> missing = new HashMap<>();

  private final Turns turns = new Turns();
  private final Retries retries;
  private final Backlog backlog = new Backlog(8);

  /**
   * @param lostAfter so long without a stream
   */
  NodeLoss(
      NodeStore store,
      Cluster cluster,
      BrokerClient broker,
      Duration lostAfter,
      InstantSource clock) {
    this.store = store;
    this.cluster = cluster;
    this.broker = broker;
    this.lostAfter = lostAfter;
    this.clock = clock;
    this.begun = clock.instant();
    this.retries = new Retries(clock);
  }

  /** One round. Not for several threads at a time. */
  void pass() {
    for (NodeStore.Stand stand : store.stands()) {
      switch (stand.standing()) {
        case PRESENT -> lookFor(stand);
        case LOSING -> tell(stand.node(), Standing.LOSING, true);
        case RETURNING -> tell(stand.node(), Standing.RETURNING, false);
        case LOST -> {}
      }
    }
  }

  @Override
  public void close() {
    backlog.close();
  }

  private void lookFor(NodeStore.Stand stand) {
    String node = stand.node();
    if (cluster.isConnected(node)) {
      missing.remove(node);
      return;
    }
    Instant found = missing.computeIfAbsent(node, _ -> now());
    Instant since = stand.gone().filter(gone -> gone.isBefore(found)).orElse(found);
    if (now().isBefore(since.plus(lostAfter)) || now().isBefore(begun.plus(GRACE))) {
      return;
    }
    missing.remove(node);
    EventDraft lost =
        new EventDraft(
            EventDraft.Kind.NODE_LOST, now(), "node " + node + " was not heard of since " + since);
    if (store.move(node, Standing.PRESENT, Standing.LOSING, Optional.of(lost))) {
      log.atWarn()
          .setMessage("node_lost")
          .addKeyValue("node", node)
          .addKeyValue("since", since)
          .log();
    }
  }

  /** In turn, so that the broker hears last what is so last. */
  private void tell(String node, Standing from, boolean suspended) {
    if (retries.isDue(node)) {
      backlog.addUnlessBusy(
          node,
          () -> {
            boolean told = false;
            try {
              told = turns.take(node, TURN, () -> told(node, from, suspended)).orElse(false);
            } catch (InterruptedException e) {
              Thread.currentThread().interrupt();
            } catch (RuntimeException e) {
              log.atWarn()
                  .setMessage("broker_not_told")
                  .addKeyValue("node", node)
                  .addKeyValue("standing", from)
                  .addKeyValue("why", e.getMessage())
                  .log();
            }
            retries.note(node, told);
          });
    }
  }

  private boolean told(String node, Standing from, boolean suspended) {
    NodeStore.Stand stand =
        store.stands().stream()
            .filter(each -> each.node().equals(node))
            .findFirst()
            .orElseThrow(() ->
                new Refusal(
                    ErrorReason.ERROR_REASON_NODE_UNAVAILABLE, "no node " + node + " on record"));
    if (stand.standing() != from) {
      return true;
    }
    broker.suspend(node, suspended);
    boolean moved =
        suspended
            ? store.move(node, from, Standing.LOST, Optional.empty())
            : store.move(
                node,
                from,
                Standing.PRESENT,
                Optional.of(
                    new EventDraft(EventDraft.Kind.NODE_BACK, now(), "node " + node + " is back")));
    if (moved) {
      log.atInfo()
          .setMessage(suspended ? "grants_suspended" : "grants_resumed")
          .addKeyValue("node", node)
          .log();
    }
    return true;
  }

  private Instant now() {
    return clock.instant().truncatedTo(ChronoUnit.MICROS);
  }
}
