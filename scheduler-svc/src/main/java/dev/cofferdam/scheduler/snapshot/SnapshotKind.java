package dev.cofferdam.scheduler.snapshot;

/** What is in a snapshot. */
public enum SnapshotKind {
  /** Memory, devices and disk: processes go on where they were. */
  FULL,
  /** The disk alone: what is made from it boots. */
  DISK
}
