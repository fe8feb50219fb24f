package dev.cofferdam.scheduler.sandbox;

import java.time.Instant;
import java.util.UUID;

/**
 * Where a sandbox is in its life. Every arrow is one compare-and-set in the database, taken before
 * what follows from it is done, so that a process that dies leaves a record that says what remains
 * to be done.
 *
 * <pre>
 *             create            node answered
 *   (nothing) ------> Starting --------------> Running
 *                        |                        |
 *                        | failed, deleted, lost  | deleted, expired, lost
 *                        v                        v
 *                     Stopping  <-----------------+
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

  /**
   * Accepts processes.
   *
   * @param since when the node's answer was recorded
   */
  record Running(Instant since) implements SandboxState {}

  /** Has to go: what remains is to revoke its grants and to remove it at its node. */
  record Stopping(EndCause cause, String message) implements SandboxState {}

  /** Gone everywhere. Kept for the record. */
  record Ended(EndCause cause, String message, Instant at) implements SandboxState {}
}
