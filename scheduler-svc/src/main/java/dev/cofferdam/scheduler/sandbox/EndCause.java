package dev.cofferdam.scheduler.sandbox;

/** Why a sandbox ends. */
public enum EndCause {
  /** Its tenant asked for it. */
  DELETED,
  /** Its lifetime is over. */
  EXPIRED,
  /** Its VM ended by itself, or its node came back without it. */
  LOST,
  /** Its create did not come to an end, or came to a bad one. */
  START_FAILED
}
