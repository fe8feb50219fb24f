package dev.cofferdam.scheduler.sandbox;

import java.time.Instant;
import java.util.UUID;

/**
 * Where a sandbox is in its life. Every arrow is one compare-and-set in the database, taken before
 * what follows from it is done, so that a process that dies leaves a record that says what remains
 * to be done. Only between the three {@link Live} ones it is the other way round: a node changes
 * them by itself too, so the record follows what the node says.
 *
 * <pre>
 *             create            node answered
 *   (nothing) ------> Starting --------------> Running <-----+
 *                        |                      |   ^        | resumed,
 *                        |                paused|   |resumed | woken
 *                        |                      v   |        |
 *                        |                     Paused -> Suspended   (suspended: from both)
 *                        |                        |          |
 *                        | failed, deleted, lost  | deleted, expired, lost: from all three
 *                        v                        v          |
 *                     Stopping  <-----------------+----------+
 *                        |
 *                        | grants revoked and removed at the node
 *                        v
 *                      Ended
 * </pre>
 */
public sealed interface SandboxState {
  /**
   * A create is under way.
   *
   * @param process the scheduler process that drives it; a record of another process has lost its
   *     driver
   */
  record Starting(UUID process) implements SandboxState {}

  /** It is there, at its node. */
  sealed interface Live extends SandboxState {
    /** When the node's word was recorded. */
    Instant since();

    /** The node's count of its changes up to this one; 0 where it does not count. */
    long change();

    default Activity activity() {
      return switch (this) {
        case Running _ -> Activity.RUNNING;
        case Paused _ -> Activity.PAUSED;
        case Suspended _ -> Activity.SUSPENDED;
      };
    }

    static Live of(Activity activity, Instant since, long change) {
      return switch (activity) {
        case RUNNING -> new Running(since, change);
        case PAUSED -> new Paused(since, change);
        case SUSPENDED -> new Suspended(since, change);
      };
    }
  }

  /** Accepts processes. */
  record Running(Instant since, long change) implements Live {}

  /** Halted, its memory in place. */
  record Paused(Instant since, long change) implements Live {}

  /** On its node's disk. */
  record Suspended(Instant since, long change) implements Live {}

  /** Has to go: what remains is to revoke its grants and to remove it at its node. */
  record Stopping(EndCause cause, String message) implements SandboxState {}

  /** Gone everywhere. Kept for the record. */
  record Ended(EndCause cause, String message, Instant at) implements SandboxState {}
}
