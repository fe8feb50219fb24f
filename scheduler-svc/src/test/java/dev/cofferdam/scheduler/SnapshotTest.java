package dev.cofferdam.scheduler;

import static dev.cofferdam.scheduler.Refused.assertRefused;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import com.google.protobuf.Duration;
import dev.cofferdam.internal.v1.GrantOrigin;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.v1.CreateSandboxRequest;
import dev.cofferdam.v1.CreateSnapshotRequest;
import dev.cofferdam.v1.DeleteSnapshotRequest;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.GetSnapshotRequest;
import dev.cofferdam.v1.ListSnapshotsRequest;
import dev.cofferdam.v1.ListSnapshotsResponse;
import dev.cofferdam.v1.RollBackSandboxRequest;
import dev.cofferdam.v1.Sandbox;
import dev.cofferdam.v1.SandboxEventType;
import dev.cofferdam.v1.SandboxState;
import dev.cofferdam.v1.SecretReference;
import dev.cofferdam.v1.Snapshot;
import dev.cofferdam.v1.SnapshotKind;
import dev.cofferdam.v1.SnapshotServiceGrpc.SnapshotServiceBlockingStub;
import dev.cofferdam.v1.SnapshotState;
import dev.cofferdam.v1.SuspendSandboxRequest;
import io.grpc.Status;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Snapshots: taken, listed, used, rolled back to, and gone; and what goes wrong at every step. */
class SnapshotTest extends MeshTest {
  private SnapshotServiceBlockingStub snapshots;

  @Override
  Map<String, String> settings() {
    return Map.of("quota.snapshots", "4");
  }

  @BeforeEach
  void client() {
    snapshots = mesh.snapshots(token);
  }

  @Test
  void oneIsKeptAndOutlivesItsSandboxAndTheScheduler() throws Exception {
    String id = create().getId();
    Snapshot taken = snapshots.createSnapshot(of(id).putLabels("a", "b").build());
    assertThat(taken.getState()).isEqualTo(SnapshotState.SNAPSHOT_STATE_READY);
    assertThat(taken.getKind()).isEqualTo(SnapshotKind.SNAPSHOT_KIND_FULL);
    assertThat(taken.getBytes()).isEqualTo(4096);
    assertThat(taken.getNode()).isEqualTo("n1");
    assertThat(events(id)).endsWith(SandboxEventType.SANDBOX_EVENT_TYPE_SNAPSHOT_CREATED);
    var _ = acme.deleteSandbox(delete(id));
    restart();
    assertThat(snapshots.getSnapshot(get(taken))).isEqualTo(taken);
    assertThat(mesh.node.snapshots).containsKey(taken.getId());
    var _ = mesh.connect();
    Sandbox copy =
        acme.createSandbox(CreateSandboxRequest.newBuilder().setSnapshot(taken.getId()).build());
    assertThat(copy.getSnapshot()).isEqualTo(taken.getId());
    assertThat(copy.getForkedFrom()).isEqualTo(id);
    assertThat(mesh.node.started.getLast().getSnapshot()).isEqualTo(taken.getId());
    assertThat(mesh.broker.grants.getLast().getOrigin())
        .isEqualTo(GrantOrigin.newBuilder().setSandbox(id).setGeneration(1).build());
  }

  @Test
  void aDeleteIsForGoodAndTwiceIsAsGoodAsOnce() {
    Snapshot taken = snapshots.createSnapshot(of(create().getId()).build());
    for (int i = 0; i < 2; i++) {
      var _ = snapshots.deleteSnapshot(delete(taken));
    }
    assertThat(mesh.node.snapshots).isEmpty();
    assertRefused(
        () -> snapshots.getSnapshot(get(taken)),
        Status.Code.NOT_FOUND,
        ErrorReason.ERROR_REASON_SNAPSHOT_NOT_FOUND);
    assertRefused(
        () ->
            acme.createSandbox(
                CreateSandboxRequest.newBuilder().setSnapshot(taken.getId()).build()),
        Status.Code.NOT_FOUND,
        ErrorReason.ERROR_REASON_SNAPSHOT_NOT_FOUND);
    assertThat(list("").getSnapshotsList()).isEmpty();
  }

  @Test
  void aDeleteWhileTheNodeIsAwayIsCompletedLaterAlsoAfterARestart() throws Exception {
    Snapshot taken = snapshots.createSnapshot(of(create().getId()).build());
    mesh.node.hook = failing("RemoveSnapshot", Status.UNAVAILABLE.asRuntimeException());
    var _ = snapshots.deleteSnapshot(delete(taken));
    assertThat(snapshots.getSnapshot(get(taken)).getState())
        .isEqualTo(SnapshotState.SNAPSHOT_STATE_DELETING);
    mesh.node.hook = _ -> {};
    restart();
    awaitTrue(mesh.node.snapshots::isEmpty);
    awaitTrue(() -> catchThrowable(() -> snapshots.getSnapshot(get(taken))) != null);
  }

  @Test
  void nobodySeesOrUsesAnothersSnapshot() {
    String id = create().getId();
    Snapshot taken = snapshots.createSnapshot(of(id).build());
    String others = mesh.token("other", Mesh.ALL_SCOPES);
    var other = mesh.snapshots(others);
    var otherSandboxes = mesh.sandboxes(others);
    String own = create(otherSandboxes).getId();
    for (org.assertj.core.api.ThrowableAssert.ThrowingCallable call :
        List.<org.assertj.core.api.ThrowableAssert.ThrowingCallable>of(
            () -> other.getSnapshot(get(taken)),
            () -> other.deleteSnapshot(delete(taken)),
            () ->
                otherSandboxes.createSandbox(
                    CreateSandboxRequest.newBuilder().setSnapshot(taken.getId()).build()),
            () -> otherSandboxes.rollBackSandbox(rollBack(own, taken)))) {
      assertRefused(call, Status.Code.NOT_FOUND, ErrorReason.ERROR_REASON_SNAPSHOT_NOT_FOUND);
    }
    assertThatThrownBy(() -> other.createSnapshot(of(id).build()))
        .satisfies(e ->
            assertThat(Refusals.reason(e)).contains(ErrorReason.ERROR_REASON_SANDBOX_NOT_FOUND));
    assertThat(other.listSnapshots(ListSnapshotsRequest.getDefaultInstance()).getSnapshotsList())
        .isEmpty();
    assertThat(mesh.node.calls).noneMatch(call -> call.startsWith("RollBack"));
    var reader = mesh.snapshots(mesh.token("acme", "sandboxes:read"));
    assertRefused(
        () -> reader.createSnapshot(of(id).build()),
        Status.Code.PERMISSION_DENIED,
        ErrorReason.ERROR_REASON_SCOPE_MISSING);
    assertThat(reader.getSnapshot(get(taken))).isEqualTo(taken);
  }

  @Test
  void pagesCoverEverythingOnceNewestFirst() {
    String one = create().getId();
    String two = create().getId();
    List<String> all = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      mesh.clock.advance(java.time.Duration.ofMillis(1));
      all.addFirst(
          snapshots
              .createSnapshot(of(one).putLabels("n", i == 1 ? "odd" : "even").build())
              .getId());
    }
    String other = snapshots.createSnapshot(of(two).build()).getId();
    List<String> seen = new ArrayList<>();
    String page = "";
    do {
      ListSnapshotsResponse response =
          snapshots.listSnapshots(
              ListSnapshotsRequest.newBuilder()
                  .setSandbox(one)
                  .setPageSize(2)
                  .setPageToken(page)
                  .build());
      response.getSnapshotsList().forEach(snapshot -> seen.add(snapshot.getId()));
      page = response.getNextPageToken();
    } while (!page.isEmpty());
    assertThat(seen).isEqualTo(all);
    assertThat(list("").getSnapshotsList()).extracting(Snapshot::getId).contains(other).hasSize(4);
    assertThat(
            snapshots
                .listSnapshots(ListSnapshotsRequest.newBuilder().putLabelFilter("n", "odd").build())
                .getSnapshotsList())
        .extracting(Snapshot::getId)
        .containsExactly(all.get(1));
    String token =
        snapshots
            .listSnapshots(ListSnapshotsRequest.newBuilder().setPageSize(1).build())
            .getNextPageToken();
    assertRefused(
        () ->
            snapshots.listSnapshots(
                ListSnapshotsRequest.newBuilder().setSandbox(one).setPageToken(token).build()),
        Status.Code.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_PAGE_TOKEN_INVALID);
    assertRefused(
        () -> snapshots.createSnapshot(of(one).build()),
        Status.Code.RESOURCE_EXHAUSTED,
        ErrorReason.ERROR_REASON_QUOTA_EXCEEDED);
  }

  @Test
  void theSameRequestGivesTheSameSnapshotAndAFailedOneLeavesItsIdFree() {
    String id = create().getId();
    CreateSnapshotRequest request = of(id).setRequestId("r1").build();
    mesh.node.hook =
        failing("TakeSnapshot", new Refusal(ErrorReason.ERROR_REASON_MACHINE_FAILED, "no"));
    assertRefused(
        () -> snapshots.createSnapshot(request),
        Status.Code.INTERNAL,
        ErrorReason.ERROR_REASON_MACHINE_FAILED);
    assertThat(list("").getSnapshotsList()).isEmpty();
    mesh.node.hook = _ -> {};
    Snapshot first = snapshots.createSnapshot(request);
    assertThat(snapshots.createSnapshot(request)).isEqualTo(first);
    assertRefused(
        () -> snapshots.createSnapshot(request.toBuilder().putLabels("a", "b").build()),
        Status.Code.ALREADY_EXISTS,
        ErrorReason.ERROR_REASON_REQUEST_ID_REUSED);
    // Ids are the tenant's, whatever is made.
    assertRefused(
        () -> acme.createSandbox(CreateSandboxRequest.newBuilder().setRequestId("r1").build()),
        Status.Code.ALREADY_EXISTS,
        ErrorReason.ERROR_REASON_REQUEST_ID_REUSED);
    assertThat(mesh.node.snapshots).hasSize(1);
  }

  @Test
  void whatANodeTookWithoutAnAnswerIsRemoved() {
    String id = create().getId();
    mesh.node.hook = failing("TakeSnapshot, done", Status.UNAVAILABLE.asRuntimeException());
    assertRefused(
        () -> snapshots.createSnapshot(of(id).build()),
        Status.Code.UNAVAILABLE,
        ErrorReason.ERROR_REASON_NODE_UNAVAILABLE);
    assertThat(mesh.node.snapshots).isEmpty();
    assertThat(list("").getSnapshotsList()).isEmpty();
  }

  @Test
  void oneThatTheSchedulersEndCutsOffIsUndoneByTheNext() throws Exception {
    String id = create().getId();
    CountDownLatch arrived = new CountDownLatch(1);
    CountDownLatch go = new CountDownLatch(1);
    mesh.node.hook =
        method -> {
          if (method.equals("TakeSnapshot, done")) {
            arrived.countDown();
            await(go);
          }
        };
    CompletableFuture<Snapshot> taking =
        CompletableFuture.supplyAsync(
            () -> snapshots.createSnapshot(of(id).setRequestId("r").build()),
            Thread::startVirtualThread);
    await(arrived);
    mesh.stop();
    go.countDown();
    assertThat(taking).failsWithin(Mesh.PATIENCE_S, TimeUnit.SECONDS);
    mesh.node.hook = _ -> {};
    restart();
    awaitTrue(mesh.node.snapshots::isEmpty);
    var _ = mesh.connect();
    assertThat(snapshots.createSnapshot(of(id).setRequestId("r").build()).getState())
        .isEqualTo(SnapshotState.SNAPSHOT_STATE_READY);
  }

  @Test
  void deletedWhileItIsTakenItIsGone() throws Exception {
    String id = create().getId();
    CountDownLatch arrived = new CountDownLatch(1);
    CountDownLatch go = new CountDownLatch(1);
    mesh.node.hook =
        method -> {
          if (method.equals("TakeSnapshot")) {
            arrived.countDown();
            await(go);
          }
        };
    CompletableFuture<Throwable> taking =
        CompletableFuture.supplyAsync(
            () -> catchThrowable(() -> snapshots.createSnapshot(of(id).build())),
            Thread::startVirtualThread);
    await(arrived);
    Snapshot creating = list(id).getSnapshots(0);
    assertThat(creating.getState()).isEqualTo(SnapshotState.SNAPSHOT_STATE_CREATING);
    assertRefused(
        () -> acme.rollBackSandbox(rollBack(id, creating)),
        Status.Code.FAILED_PRECONDITION,
        ErrorReason.ERROR_REASON_SNAPSHOT_UNUSABLE);
    CompletableFuture<Void> deleted =
        CompletableFuture.runAsync(
            () -> {
              var _ = snapshots.deleteSnapshot(delete(creating));
            },
            Thread::startVirtualThread);
    awaitTrue(() -> list(id).getSnapshots(0).getState() == SnapshotState.SNAPSHOT_STATE_DELETING);
    go.countDown();
    deleted.get(Mesh.PATIENCE_S, TimeUnit.SECONDS);
    assertThat(Refusals.reason(taking.get(Mesh.PATIENCE_S, TimeUnit.SECONDS)))
        .contains(ErrorReason.ERROR_REASON_SNAPSHOT_NOT_FOUND);
    assertThat(mesh.node.snapshots).isEmpty();
  }

  @Test
  void aSandboxThatExpiresWhileItIsTakenLeavesAWholeSnapshot() throws Exception {
    String id =
        acme.createSandbox(
                CreateSandboxRequest.newBuilder()
                    .setLifetime(Duration.newBuilder().setSeconds(5))
                    .build())
            .getId();
    mesh.node.hook =
        method -> {
          if (method.equals("TakeSnapshot, done")) {
            mesh.clock.advance(java.time.Duration.ofSeconds(6));
            awaitEvent(id, SandboxEventType.SANDBOX_EVENT_TYPE_ENDED);
          }
        };
    Snapshot taken = snapshots.createSnapshot(of(id).build());
    assertThat(taken.getState()).isEqualTo(SnapshotState.SNAPSHOT_STATE_READY);
    assertThat(mesh.node.snapshots).containsKey(taken.getId());
    assertRefused(
        () -> acme.rollBackSandbox(rollBack(id, taken)),
        Status.Code.FAILED_PRECONDITION,
        ErrorReason.ERROR_REASON_SANDBOX_NOT_RUNNING);
  }

  @Test
  void aSandboxGoesBackToItsOwnSnapshotsAndToNoOthers() {
    String id = create().getId();
    String sibling = create().getId();
    Snapshot taken =
        snapshots.createSnapshot(of(id).setKind(SnapshotKind.SNAPSHOT_KIND_DISK).build());
    var _ = acme.suspendSandbox(SuspendSandboxRequest.newBuilder().setSandbox(id).build());
    assertThat(acme.rollBackSandbox(rollBack(id, taken)).getState())
        .isEqualTo(SandboxState.SANDBOX_STATE_RUNNING);
    assertThat(mesh.node.calls).contains("RollBack " + taken.getId());
    assertThat(events(id)).endsWith(SandboxEventType.SANDBOX_EVENT_TYPE_ROLLED_BACK);
    assertRefused(
        () -> acme.rollBackSandbox(rollBack(sibling, taken)),
        Status.Code.FAILED_PRECONDITION,
        ErrorReason.ERROR_REASON_SNAPSHOT_UNUSABLE);
    mesh.node.hook = failing("RollBack", Status.UNAVAILABLE.asRuntimeException());
    int calls = mesh.node.calls.size();
    assertRefused(
        () -> acme.rollBackSandbox(rollBack(id, taken)),
        Status.Code.UNAVAILABLE,
        ErrorReason.ERROR_REASON_NODE_UNAVAILABLE);
    assertThat(mesh.node.calls.size()).as("never twice by itself").isEqualTo(calls + 1);
  }

  @Test
  void whatIsMadeFromOneIsMadeOnItsNodeOrNotAtAll() throws Exception {
    Snapshot taken = snapshots.createSnapshot(of(create().getId()).build());
    mesh.connectAs("n2");
    mesh.node.hook =
        failing("StartSandbox", new Refusal(ErrorReason.ERROR_REASON_NO_CAPACITY, "full"));
    CreateSandboxRequest copy =
        CreateSandboxRequest.newBuilder().setSnapshot(taken.getId()).setRequestId("r").build();
    assertRefused(
        () -> acme.createSandbox(copy),
        Status.Code.RESOURCE_EXHAUSTED,
        ErrorReason.ERROR_REASON_NO_CAPACITY);
    assertThat(mesh.node.calls).filteredOn("StartSandbox"::equals).hasSize(2);
    mesh.node.hook = _ -> {};
    Sandbox made = acme.createSandbox(copy);
    assertThat(made.getNode()).isEqualTo("n1");
    var _ = snapshots.deleteSnapshot(delete(taken));
    assertThat(acme.createSandbox(copy)).as("it was made before").isEqualTo(made);
    Snapshot another = snapshots.createSnapshot(of(made.getId()).build());
    mesh.connect().leave();
    awaitTrue(() ->
        Refusals.reason(
                catchThrowable(() ->
                    acme.createSandbox(
                        CreateSandboxRequest.newBuilder().setSnapshot(another.getId()).build())))
            .filter(ErrorReason.ERROR_REASON_NODE_UNAVAILABLE::equals)
            .isPresent());
    assertThat(snapshots.getSnapshot(get(another)).getState())
        .isEqualTo(SnapshotState.SNAPSHOT_STATE_READY);
  }

  @Test
  void aCopyHasTheSecretsThatItsCreateNamesAndNoOthers() {
    String id =
        acme.createSandbox(
                CreateSandboxRequest.newBuilder()
                    .addSecrets(SecretReference.newBuilder().setSecret(FakeBroker.SECRET))
                    .build())
            .getId();
    Snapshot taken = snapshots.createSnapshot(of(id).build());
    CreateSandboxRequest copy =
        CreateSandboxRequest.newBuilder().setSnapshot(taken.getId()).build();
    assertThat(acme.createSandbox(copy).getSecretsList()).isEmpty();
    assertThat(mesh.broker.grants.getLast().getSecretsList()).isEmpty();
    var withoutUse = mesh.sandboxes(mesh.token("acme", "sandboxes:write"));
    CreateSandboxRequest using =
        copy.toBuilder()
            .addSecrets(SecretReference.newBuilder().setSecret(FakeBroker.SECRET))
            .build();
    assertRefused(
        () -> withoutUse.createSandbox(using),
        Status.Code.PERMISSION_DENIED,
        ErrorReason.ERROR_REASON_SCOPE_MISSING);
    assertThat(acme.createSandbox(using).getSecretsCount()).isEqualTo(1);
  }

  private void restart() throws Exception {
    mesh.stop();
    mesh.start();
    acme = mesh.sandboxes(token);
    snapshots = mesh.snapshots(token);
  }

  private ListSnapshotsResponse list(String sandbox) {
    return snapshots.listSnapshots(ListSnapshotsRequest.newBuilder().setSandbox(sandbox).build());
  }

  private static CreateSnapshotRequest.Builder of(String sandbox) {
    return CreateSnapshotRequest.newBuilder().setSandbox(sandbox);
  }

  private static GetSnapshotRequest get(Snapshot snapshot) {
    return GetSnapshotRequest.newBuilder().setSnapshot(snapshot.getId()).build();
  }

  private static DeleteSnapshotRequest delete(Snapshot snapshot) {
    return DeleteSnapshotRequest.newBuilder().setSnapshot(snapshot.getId()).build();
  }

  private static RollBackSandboxRequest rollBack(String sandbox, Snapshot snapshot) {
    return RollBackSandboxRequest.newBuilder()
        .setSandbox(sandbox)
        .setSnapshot(snapshot.getId())
        .build();
  }
}
