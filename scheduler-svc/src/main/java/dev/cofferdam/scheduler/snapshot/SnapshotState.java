package dev.cofferdam.scheduler.snapshot;

import java.time.Instant;
import java.util.UUID;

/**
 * Where a snapshot is in its life. As with sandboxes, every arrow is one compare-and-set, taken
 * before what follows from it is done.
 *
 * <pre>
 *             create             node answered
 *   (nothing) ------> Creating ---------------> Ready
 *                        |                        |
 *                        | failed, deleted        | deleted
 *                        v                        |
 *                     Deleting <------------------+
 *                        |
 *                        | removed at the node
 *                        v
 *                     Deleted
 * </pre>
 */
public sealed interface SnapshotState {
  /**
   * Its node takes it. A fork's stays so until it is no longer needed.
   *
   * @param process the scheduler process that drives it; a record of another process has lost its
   *     driver
   */
  record Creating(UUID process) implements SnapshotState {}

  /** Durable on its node. */
  record Ready() implements SnapshotState {}

  /** Has to go: what remains is to remove it at its node. */
  record Deleting() implements SnapshotState {}

  /** Gone. Kept, unseen, so that deleting it again succeeds. */
  record Deleted(Instant at) implements SnapshotState {}
}
