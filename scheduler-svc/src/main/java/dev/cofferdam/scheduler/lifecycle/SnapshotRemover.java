package dev.cofferdam.scheduler.lifecycle;

import dev.cofferdam.scheduler.cluster.Cluster;
import dev.cofferdam.scheduler.cluster.NodeLink;
import dev.cofferdam.scheduler.snapshot.Snapshot;
import dev.cofferdam.scheduler.snapshot.SnapshotState.Creating;
import dev.cofferdam.scheduler.snapshot.SnapshotState.Deleted;
import dev.cofferdam.scheduler.snapshot.SnapshotState.Deleting;
import dev.cofferdam.scheduler.snapshot.SnapshotState.Ready;
import dev.cofferdam.scheduler.store.SnapshotStore;
import java.time.InstantSource;
import java.time.temporal.ChronoUnit;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Removes snapshots. First the record says so, which no crash undoes; then the node removes it;
 * only then is it gone. What fails is tried again until it succeeds. Safe for use by several
 * threads.
 */
final class SnapshotRemover implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(SnapshotRemover.class);

  private final SnapshotStore store;
  private final Cluster cluster;
  private final Creations creations;
  private final InstantSource clock;
  private final Retries retries;
  private final Backlog backlog = new Backlog(16);

  SnapshotRemover(SnapshotStore store, Cluster cluster, Creations creations, InstantSource clock) {
    this.store = store;
    this.cluster = cluster;
    this.creations = creations;
    this.clock = clock;
    this.retries = new Retries(clock);
  }

  /** Puts on record that it has to go. Nothing for one that goes already or is not on record. */
  void giveUp(String id) {
    while (true) {
      Optional<Snapshot> snapshot = store.find(id).filter(SnapshotRemover::isThere);
      if (snapshot.isEmpty() || store.apply(snapshot.get().deleting())) {
        return;
      }
    }
  }

  /**
   * Does what one that has to go still needs. True once nothing of it is left; after false it is
   * tried again in the background. Blocks, at most for the deadlines of the calls. Never throws.
   */
  boolean finish(String id) {
    boolean done = false;
    try {
      // A node that is still taking it would go on to make what is removed here.
      creations.await(id, NodeLink.SNAPSHOT_TIMEOUT);
      done = attempt(id);
    } catch (RuntimeException e) {
      log.atWarn()
          .setMessage("snapshot_not_removed")
          .addKeyValue("snapshot", id)
          .addKeyValue("why", e.getMessage())
          .log();
    }
    retries.note(id, done);
    return done;
  }

  /** {@link #giveUp} and {@link #finish}, in the background. */
  void discardLater(String id) {
    backlog.add(id, () -> discard(id));
  }

  private void discard(String id) {
    giveUp(id);
    finish(id);
  }

  /** Takes up what an earlier process left, and what is due again. */
  void settle() {
    for (Snapshot snapshot : store.unsettled()) {
      if (!creations.contains(snapshot.id()) && retries.isDue(snapshot.id())) {
        backlog.addUnlessBusy(snapshot.id(), () -> takeUp(snapshot));
      }
    }
  }

  private void takeUp(Snapshot seen) {
    // Exactly this version: one that became ready since it was looked at stays.
    if (!(seen.state() instanceof Creating) || store.apply(seen.deleting())) {
      finish(seen.id());
    }
  }

  void retryAllNow() {
    retries.allNow();
  }

  @Override
  public void close() {
    backlog.close();
  }

  private boolean attempt(String id) {
    Optional<Snapshot> found = store.find(id);
    if (found.isEmpty()) {
      return true;
    }
    Snapshot snapshot = found.get();
    return switch (snapshot.state()) {
      case Deleting _ -> {
        cluster.link(snapshot.node()).removeSnapshot(id);
        yield store.apply(snapshot.deleted(clock.instant().truncatedTo(ChronoUnit.MICROS)));
      }
      case Deleted _ -> true;
      // Another process's word against ours: looked at again.
      case Creating _, Ready _ -> false;
    };
  }

  private static boolean isThere(Snapshot snapshot) {
    return switch (snapshot.state()) {
      case Creating _, Ready _ -> true;
      case Deleting _, Deleted _ -> false;
    };
  }
}
