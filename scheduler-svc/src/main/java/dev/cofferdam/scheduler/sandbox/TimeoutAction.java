package dev.cofferdam.scheduler.sandbox;

/** What becomes of a sandbox whose lifetime is over. */
public enum TimeoutAction {
  DELETE,
  SUSPEND,
  /** It goes on; an event tells. */
  NONE
}
