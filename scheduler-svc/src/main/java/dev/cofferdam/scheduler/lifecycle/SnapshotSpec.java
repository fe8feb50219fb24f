package dev.cofferdam.scheduler.lifecycle;

import dev.cofferdam.scheduler.snapshot.SnapshotKind;
import dev.cofferdam.scheduler.store.RequestStore.RequestKey;
import java.util.Map;
import java.util.Optional;

/**
 * A snapshot that passed every check that needs no record.
 *
 * @param request empty: not idempotent
 */
public record SnapshotSpec(
    Optional<RequestKey> request, String sandbox, SnapshotKind kind, Map<String, String> labels) {
  public SnapshotSpec {
    labels = Map.copyOf(labels);
  }
}
