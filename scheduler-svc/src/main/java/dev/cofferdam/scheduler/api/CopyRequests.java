package dev.cofferdam.scheduler.api;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.scheduler.lifecycle.ForkSpec;
import dev.cofferdam.scheduler.lifecycle.SnapshotSpec;
import dev.cofferdam.scheduler.snapshot.SnapshotKind;
import dev.cofferdam.v1.CreateSnapshotRequest;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.ForkSandboxRequest;

/** Snapshots and forks as they are asked for, checked for everything that needs no record. Pure. */
final class CopyRequests {
  private static final int MAX_COPIES = 16;

  private CopyRequests() {}

  /**
   * @throws Refusal with the reason of the first thing that is wrong
   */
  static SnapshotSpec check(CreateSnapshotRequest request) {
    return new SnapshotSpec(
        RequestKeys.key(request.getRequestId(), request.toBuilder().clearRequestId().build()),
        request.getSandbox(),
        switch (request.getKind()) {
          case SNAPSHOT_KIND_UNSPECIFIED, SNAPSHOT_KIND_FULL -> SnapshotKind.FULL;
          case SNAPSHOT_KIND_DISK -> SnapshotKind.DISK;
          case UNRECOGNIZED -> throw invalid("kind is not one of this service");
        },
        CreateRequests.labels(request.getLabelsMap()));
  }

  /**
   * @throws Refusal with the reason of the first thing that is wrong
   */
  static ForkSpec check(ForkSandboxRequest request) {
    int count = request.getCount() == 0 ? 1 : request.getCount();
    if (count < 1 || count > MAX_COPIES) {
      throw invalid(
          "count is %s, expected 1 to %d, or 0"
              .formatted(Integer.toUnsignedString(count), MAX_COPIES));
    }
    return new ForkSpec(
        RequestKeys.key(request.getRequestId(), request.toBuilder().clearRequestId().build()),
        request.getSandbox(),
        count,
        CreateRequests.labels(request.getLabelsMap()),
        CreateRequests.lifetime(request.hasLifetime(), request.getLifetime()),
        CreateRequests.timeoutAction(request.getTimeoutAction()));
  }

  private static Refusal invalid(String message) {
    return new Refusal(ErrorReason.ERROR_REASON_INVALID_ARGUMENT, message);
  }
}
