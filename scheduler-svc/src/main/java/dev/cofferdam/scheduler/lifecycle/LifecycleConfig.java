package dev.cofferdam.scheduler.lifecycle;

import java.time.Duration;

/**
 * Limits of sandboxes' lives.
 *
 * @param quota sandboxes that one tenant may have starting or running at a time, at least 1
 * @param snapshotQuota snapshots that one tenant may keep, at least 1
 * @param volumeQuota volumes that one tenant may keep, at least 1
 * @param createTimeout for a whole create, at least 1 s
 * @param nodeLostAfter so long without a stream of a node, and its sandboxes' grants are out of use
 * @param retention how long ended sandboxes and events are kept, at least 2 days: longer than a
 *     request id, which may still ask for its sandbox
 */
public record LifecycleConfig(
    int quota,
    int snapshotQuota,
    int volumeQuota,
    Duration createTimeout,
    Duration nodeLostAfter,
    Duration retention) {
  public LifecycleConfig {
    if (quota < 1) {
      throw new IllegalArgumentException("quota is " + quota + ", expected at least 1");
    }
    if (snapshotQuota < 1) {
      throw new IllegalArgumentException(
          "snapshotQuota is " + snapshotQuota + ", expected at least 1");
    }
    if (volumeQuota < 1) {
      throw new IllegalArgumentException("volumeQuota is " + volumeQuota + ", expected at least 1");
    }
    if (createTimeout.compareTo(Duration.ofSeconds(1)) < 0) {
      throw new IllegalArgumentException(
          "createTimeout is " + createTimeout + ", expected at least 1 s");
    }
    if (retention.compareTo(Duration.ofDays(2)) < 0) {
      throw new IllegalArgumentException(
          "retention is " + retention + ", expected at least 2 days");
    }
  }
}
