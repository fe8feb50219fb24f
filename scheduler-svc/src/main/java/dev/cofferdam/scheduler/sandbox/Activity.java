package dev.cofferdam.scheduler.sandbox;

/** What a sandbox that is there does at its node, which is the only one to know. */
public enum Activity {
  RUNNING,
  /** Halted, its memory in place. */
  PAUSED,
  /** On disk, without memory and processors. A call wakes it. */
  SUSPENDED
}
