package dev.cofferdam.scheduler.api;

import dev.cofferdam.kit.call.Callers;
import dev.cofferdam.scheduler.lifecycle.Snapshots;
import dev.cofferdam.scheduler.store.Position;
import dev.cofferdam.scheduler.store.SnapshotStore;
import dev.cofferdam.v1.CreateSnapshotRequest;
import dev.cofferdam.v1.DeleteSnapshotRequest;
import dev.cofferdam.v1.DeleteSnapshotResponse;
import dev.cofferdam.v1.GetSnapshotRequest;
import dev.cofferdam.v1.ListSnapshotsRequest;
import dev.cofferdam.v1.ListSnapshotsResponse;
import dev.cofferdam.v1.Snapshot;
import dev.cofferdam.v1.SnapshotServiceGrpc;
import io.grpc.stub.StreamObserver;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** What tenants do with snapshots. The listener has checked token and scope. */
public final class SnapshotApi extends SnapshotServiceGrpc.SnapshotServiceImplBase {
  private final Snapshots snapshots;
  private final SnapshotStore store;

  public SnapshotApi(Snapshots snapshots, SnapshotStore store) {
    this.snapshots = snapshots;
    this.store = store;
  }

  @Override
  public void createSnapshot(CreateSnapshotRequest request, StreamObserver<Snapshot> observer) {
    answer(
        observer,
        Wire.snapshot(snapshots.create(Callers.tenant().tenant(), CopyRequests.check(request))));
  }

  @Override
  public void getSnapshot(GetSnapshotRequest request, StreamObserver<Snapshot> observer) {
    answer(
        observer, Wire.snapshot(snapshots.get(Callers.tenant().tenant(), request.getSnapshot())));
  }

  @Override
  public void listSnapshots(
      ListSnapshotsRequest request, StreamObserver<ListSnapshotsResponse> observer) {
    String tenant = Callers.tenant().tenant();
    int size = Pages.size(request.getPageSize());
    Map<String, String> filter = CreateRequests.labels(request.getLabelFilterMap());
    var listing = new OpaqueTokens.Listing("snapshots", tenant, filter, request.getSandbox());
    Optional<Position> after =
        OpaqueTokens.parsePage(
            listing, dev.cofferdam.scheduler.snapshot.Snapshot::isId, request.getPageToken());
    // A name with NUL is no sandbox's, and PostgreSQL takes none.
    List<dev.cofferdam.scheduler.snapshot.Snapshot> found =
        request.getSandbox().indexOf('\0') >= 0
            ? List.of()
            : store.page(tenant, request.getSandbox(), filter, after, size + 1);
    ListSnapshotsResponse.Builder response = ListSnapshotsResponse.newBuilder();
    found.stream().limit(size).map(Wire::snapshot).forEach(response::addSnapshots);
    if (found.size() > size) {
      var last = found.get(size - 1);
      response.setNextPageToken(
          OpaqueTokens.page(listing, new Position(last.createTime(), last.id())));
    }
    answer(observer, response.build());
  }

  @Override
  public void deleteSnapshot(
      DeleteSnapshotRequest request, StreamObserver<DeleteSnapshotResponse> observer) {
    snapshots.delete(Callers.tenant().tenant(), request.getSnapshot());
    answer(observer, DeleteSnapshotResponse.getDefaultInstance());
  }

  private static <T> void answer(StreamObserver<T> observer, T response) {
    observer.onNext(response);
    observer.onCompleted();
  }
}
