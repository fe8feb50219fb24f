package dev.cofferdam.scheduler.sandbox;

import java.time.Instant;

/**
 * What watchers are told of a change. It gets its cursor when it is stored.
 *
 * @param message for people; never a value
 */
public record EventDraft(Kind kind, Instant time, String message) {
  /** Names as in the contract's SandboxEventType. */
  public enum Kind {
    CREATED,
    RUNNING,
    EXTENDED,
    POLICY_UPDATED,
    START_FAILED,
    ENDED,
    PAUSED,
    RESUMED,
    SUSPENDED,
    ROLLED_BACK,
    SNAPSHOT_CREATED,
    EXPIRED,
    NODE_LOST,
    NODE_BACK
  }
}
