package dev.cofferdam.scheduler.lifecycle;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.scheduler.cluster.Cluster;
import dev.cofferdam.scheduler.cluster.NodeLink;
import dev.cofferdam.scheduler.sandbox.Sandbox;
import dev.cofferdam.scheduler.sandbox.Texts;
import dev.cofferdam.scheduler.sandbox.VolumeUse;
import dev.cofferdam.scheduler.snapshot.Snapshot;
import dev.cofferdam.scheduler.snapshot.SnapshotKind;
import dev.cofferdam.scheduler.snapshot.SnapshotState.Creating;
import dev.cofferdam.scheduler.snapshot.SnapshotState.Deleted;
import dev.cofferdam.scheduler.snapshot.SnapshotState.Deleting;
import dev.cofferdam.scheduler.snapshot.SnapshotState.Ready;
import dev.cofferdam.scheduler.store.CreateOutcome;
import dev.cofferdam.scheduler.store.RequestStore.KnownRequest;
import dev.cofferdam.scheduler.store.SnapshotStore;
import dev.cofferdam.v1.ErrorReason;
import java.time.Instant;
import java.time.InstantSource;
import java.time.temporal.ChronoUnit;
import java.util.Map;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import java.util.random.RandomGenerator;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Takes snapshots and gives them up: record, node, record. What fails after the record was stored
 * is undone; a process that dies in between leaves a record that its successor undoes. Safe for use
 * by several threads.
 */
public final class Snapshots implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(Snapshots.class);

  private final SnapshotStore store;
  private final Sandboxes tenants;
  private final Cluster cluster;
  private final Creations creations;
  private final Idempotency idempotency;
  private final SnapshotRemover remover;
  private final int quota;
  private final InstantSource clock;
  private final RandomGenerator random;

  /**
   * @param quota of one tenant, at least 1
   */
  Snapshots(
      SnapshotStore store,
      Sandboxes tenants,
      Cluster cluster,
      Creations creations,
      Idempotency idempotency,
      int quota,
      InstantSource clock,
      RandomGenerator random) {
    this.store = store;
    this.tenants = tenants;
    this.cluster = cluster;
    this.creations = creations;
    this.idempotency = idempotency;
    this.remover = new SnapshotRemover(store, cluster, creations, clock);
    this.quota = quota;
    this.clock = clock;
    this.random = random;
  }

  /** Blocks until it is durable on its node, or has been undone. */
  public Snapshot create(String tenant, SnapshotSpec spec) {
    return idempotency.perform(
        tenant,
        spec.request(),
        NodeLink.SNAPSHOT_TIMEOUT,
        new Idempotency.Work<>() {
          @Override
          public Idempotency.Outcome<Snapshot> make(BooleanSupplier wanted) {
            Sandbox sandbox = tenants.live(tenant, spec.sandbox(), "");
            if (spec.kind() == SnapshotKind.FULL) {
              requireNoVolumes(sandbox, "a snapshot with memory");
            } else if (sandbox.volumes().stream().anyMatch(VolumeUse::isDisk)) {
              requireNoVolumes(sandbox, "a snapshot: it can be copied itself");
            }
            return take(sandbox, spec, wanted);
          }

          @Override
          public Snapshot known(KnownRequest request) {
            Snapshot snapshot = get(tenant, request.made().getFirst());
            if (snapshot.state() instanceof Creating) {
              // Its driver died with an earlier process; it is being undone.
              throw new Refusal(
                  ErrorReason.ERROR_REASON_NODE_UNAVAILABLE,
                  "the scheduler stopped while this request was under way; try again");
            }
            return snapshot;
          }

          @Override
          public void discard(Snapshot made) {
            remover.discardLater(made.id());
          }
        });
  }

  /**
   * @throws Refusal SNAPSHOT_NOT_FOUND, also for another tenant's and for one that is gone
   */
  public Snapshot get(String tenant, String id) {
    return known(tenant, id)
        .filter(snapshot -> !(snapshot.state() instanceof Deleted))
        .orElseThrow(() -> notFound(tenant, id));
  }

  /** As {@link #get}, also one that is gone: a create that came of it may be asked for again. */
  public Snapshot getEver(String tenant, String id) {
    return known(tenant, id).orElseThrow(() -> notFound(tenant, id));
  }

  /**
   * One that something can be made of, as it is now.
   *
   * @throws Refusal SNAPSHOT_NOT_FOUND, or SNAPSHOT_UNUSABLE while it is being taken
   */
  Snapshot ready(String tenant, String id) {
    Snapshot snapshot = get(tenant, id);
    return switch (snapshot.state()) {
      case Ready _ -> snapshot;
      case Creating _ ->
          throw new Refusal(
              ErrorReason.ERROR_REASON_SNAPSHOT_UNUSABLE, id + " is still being taken");
      case Deleting _, Deleted _ -> throw notFound(tenant, id);
    };
  }

  /**
   * Returns when nothing of it is left, or, where its node is away, once its end is on record and
   * will be brought about.
   */
  public void delete(String tenant, String id) {
    var _ = getEver(tenant, id);
    remover.giveUp(id);
    var _ = remover.finish(id);
  }

  /**
   * The memory of a guest holds parts of the volumes that are mounted in it. Without just those
   * volumes, as they were then, what is made of it would break them or itself.
   *
   * @throws Refusal VOLUME_IN_USE
   */
  static void requireNoVolumes(Sandbox sandbox, String what) {
    if (!sandbox.volumes().isEmpty()) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_VOLUME_IN_USE,
          "%s has the volume %s, which is no part of %s"
              .formatted(sandbox.id(), sandbox.volumes().getFirst().name(), what));
    }
  }

  /**
   * One for a fork alone, not listed. It goes with this process at the latest.
   *
   * @return its id, for {@link #dropTemporary}
   */
  String takeTemporary(Sandbox sandbox) {
    Snapshot snapshot = begun(sandbox, SnapshotKind.FULL, Map.of(), false);
    creations.begin(snapshot.id());
    boolean taken = false;
    try {
      switch (store.create(snapshot, Optional.empty(), Integer.MAX_VALUE)) {
        case CreateOutcome.Created _ -> {}
        case CreateOutcome.Duplicate _, CreateOutcome.OverQuota _, CreateOutcome.VolumeTaken _ ->
            throw new IllegalStateException("neither request id nor quota were given");
      }
      var _ = cluster.link(sandbox.node()).takeSnapshot(sandbox, snapshot);
      taken = true;
      return snapshot.id();
    } finally {
      if (!taken) {
        dropTemporary(snapshot.id());
      }
    }
  }

  /** Never throws: what cannot be done now is found by {@link Housekeeper}. */
  void dropTemporary(String id) {
    creations.end(id);
    remover.discardLater(id);
  }

  void settle() {
    remover.settle();
  }

  void retryAllNow() {
    remover.retryAllNow();
  }

  @Override
  public void close() {
    remover.close();
  }

  private Idempotency.Outcome<Snapshot> take(
      Sandbox sandbox, SnapshotSpec spec, BooleanSupplier wanted) {
    Snapshot snapshot = begun(sandbox, spec.kind(), spec.labels(), true);
    String id = snapshot.id();
    boolean recorded = false;
    creations.begin(id);
    try {
      switch (store.create(snapshot, spec.request(), quota)) {
        case CreateOutcome.Created _ -> recorded = true;
        case CreateOutcome.Duplicate duplicate -> {
          return new Idempotency.Outcome.Known<>(duplicate.known());
        }
        case CreateOutcome.OverQuota over ->
            throw new Refusal(
                ErrorReason.ERROR_REASON_QUOTA_EXCEEDED,
                "tenant %s has %d snapshots, allowed are %d"
                    .formatted(sandbox.tenant(), over.inUse(), quota));
        case CreateOutcome.VolumeTaken _ ->
            throw new IllegalStateException("a snapshot has no volumes");
      }
      long bytes = cluster.link(sandbox.node()).takeSnapshot(sandbox, snapshot);
      if (!wanted.getAsBoolean()) {
        throw new Refusal(
            ErrorReason.ERROR_REASON_NODE_UNAVAILABLE, "the caller left before the end");
      }
      Snapshot.Change ready = snapshot.ready(bytes, now());
      if (!store.apply(ready)) {
        throw new Refusal(
            ErrorReason.ERROR_REASON_SNAPSHOT_NOT_FOUND, id + " was deleted while it was taken");
      }
      log.atInfo()
          .setMessage("snapshot_taken")
          .addKeyValue("snapshot", id)
          .addKeyValue("sandbox", sandbox.id())
          .addKeyValue("bytes", bytes)
          .log();
      return new Idempotency.Outcome.Made<>(ready.after());
    } catch (RuntimeException e) {
      if (recorded) {
        undo(id);
      }
      throw e;
    } finally {
      creations.end(id);
    }
  }

  /** Never throws. */
  private void undo(String id) {
    try {
      remover.giveUp(id);
      // From here on it is the remover's: it no longer waits for this create.
      creations.end(id);
      remover.finish(id);
    } catch (RuntimeException e) {
      log.atWarn().setMessage("undo_failed").addKeyValue("snapshot", id).setCause(e).log();
    }
  }

  private Snapshot begun(
      Sandbox sandbox, SnapshotKind kind, Map<String, String> labels, boolean listed) {
    return Snapshot.begun(
        Ids.snapshot(random), sandbox, kind, labels, listed, creations.process(), now());
  }

  private Optional<Snapshot> known(String tenant, String id) {
    return store.find(id).filter(snapshot -> snapshot.listed() && snapshot.tenant().equals(tenant));
  }

  private static Refusal notFound(String tenant, String id) {
    return new Refusal(
        ErrorReason.ERROR_REASON_SNAPSHOT_NOT_FOUND,
        "no snapshot " + Texts.quoted(id) + " of tenant " + tenant);
  }

  private Instant now() {
    return clock.instant().truncatedTo(ChronoUnit.MICROS);
  }
}
