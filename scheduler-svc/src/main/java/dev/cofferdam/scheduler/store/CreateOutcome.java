package dev.cofferdam.scheduler.store;

import dev.cofferdam.scheduler.sandbox.VolumeUse;
import dev.cofferdam.scheduler.store.RequestStore.KnownRequest;

/** What came of storing the records of a create. */
public sealed interface CreateOutcome {
  record Created() implements CreateOutcome {}

  /** The request id is in use; nothing was stored. */
  record Duplicate(KnownRequest known) implements CreateOutcome {}

  /** Nothing was stored. */
  record OverQuota(int inUse) implements CreateOutcome {}

  /** A sandbox cannot have this volume; nothing was stored. */
  record VolumeTaken(VolumeUse volume) implements CreateOutcome {}
}
