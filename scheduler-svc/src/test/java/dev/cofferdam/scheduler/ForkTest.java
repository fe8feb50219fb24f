package dev.cofferdam.scheduler;

import static dev.cofferdam.scheduler.Refused.assertRefused;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import dev.cofferdam.internal.v1.CreateGrantsRequest;
import dev.cofferdam.internal.v1.GrantOrigin;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.CreateSandboxRequest;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.ForkSandboxRequest;
import dev.cofferdam.v1.ListSandboxesRequest;
import dev.cofferdam.v1.Sandbox;
import dev.cofferdam.v1.SandboxEventType;
import dev.cofferdam.v1.SandboxState;
import dev.cofferdam.v1.SecretReference;
import io.grpc.Status;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** Copies of a live sandbox: all of them or none, and nothing of a failed fork is left. */
class ForkTest extends MeshTest {
  @Override
  Map<String, String> settings() {
    return Map.of("quota.sandboxes", "6");
  }

  @Test
  void copiesAreTheSourcesButForWhatIsTheirOwn() {
    EgressPolicy policy =
        EgressPolicy.newBuilder().addRules(EgressRule.newBuilder().setHost("a.example")).build();
    Sandbox source =
        acme.createSandbox(
            CreateSandboxRequest.newBuilder()
                .setEgressPolicy(policy)
                .putLabels("team", "blue")
                .addSecrets(SecretReference.newBuilder().setSecret(FakeBroker.SECRET))
                .build());
    List<Sandbox> copies =
        acme.forkSandbox(fork(source, 3).putLabels("copy", "yes").build()).getSandboxesList();
    assertThat(copies).hasSize(3);
    assertThat(copies).extracting(Sandbox::getId).doesNotHaveDuplicates();
    assertThat(copies)
        .allSatisfy(copy -> {
          assertThat(copy.getState()).isEqualTo(SandboxState.SANDBOX_STATE_RUNNING);
          assertThat(copy.getForkedFrom()).isEqualTo(source.getId());
          assertThat(copy.getSnapshot()).isEmpty();
          assertThat(copy.getEgressPolicy()).isEqualTo(policy);
          assertThat(copy.getSecretsList()).isEqualTo(source.getSecretsList());
          assertThat(copy.getLabelsMap()).isEqualTo(Map.of("copy", "yes"));
          assertThat(acme.getSandbox(get(copy.getId()))).isEqualTo(copy);
        });
    List<CreateGrantsRequest> grants = mesh.broker.grants.subList(1, 4);
    assertThat(grants)
        .extracting(CreateGrantsRequest::getOrigin)
        .containsOnly(GrantOrigin.newBuilder().setSandbox(source.getId()).setGeneration(1).build());
    assertThat(mesh.node.started.subList(1, 4))
        .allSatisfy(start -> {
          assertThat(start.getSnapshot()).startsWith("sn-");
          assertThat(start.getEnvMap())
              .containsExactly(Map.entry("API_KEY", "placeholder-" + start.getSandbox()));
        });
    awaitTrue(mesh.node.snapshots::isEmpty);
    assertThat(
            mesh.snapshots(token)
                .listSnapshots(dev.cofferdam.v1.ListSnapshotsRequest.getDefaultInstance())
                .getSnapshotsList())
        .isEmpty();
  }

  @Test
  void whereOneFailsNoneIsLeftAndTheRequestMayBeTriedAgain() {
    Sandbox source = create();
    AtomicInteger starts = new AtomicInteger();
    mesh.node.hook =
        method -> {
          if (method.equals("StartSandbox") && starts.incrementAndGet() == 2) {
            throw new Refusal(ErrorReason.ERROR_REASON_NO_CAPACITY, "full");
          }
        };
    ForkSandboxRequest request = fork(source, 3).setRequestId("r").build();
    assertRefused(
        () -> acme.forkSandbox(request),
        Status.Code.RESOURCE_EXHAUSTED,
        ErrorReason.ERROR_REASON_NO_CAPACITY);
    assertNothingBut(source);
    mesh.node.hook = _ -> {};
    var made = acme.forkSandbox(request);
    assertThat(made.getSandboxesCount()).isEqualTo(3);
    assertThat(acme.forkSandbox(request)).isEqualTo(made);
    assertRefused(
        () -> acme.forkSandbox(request.toBuilder().setCount(2).build()),
        Status.Code.ALREADY_EXISTS,
        ErrorReason.ERROR_REASON_REQUEST_ID_REUSED);
    assertThat(mesh.node.running).hasSize(4);
  }

  @Test
  void whereTheSnapshotFailsNothingIsStarted() {
    Sandbox source = create();
    mesh.node.hook = failing("TakeSnapshot, done", Status.UNAVAILABLE.asRuntimeException());
    assertRefused(
        () -> acme.forkSandbox(fork(source, 2).build()),
        Status.Code.UNAVAILABLE,
        ErrorReason.ERROR_REASON_NODE_UNAVAILABLE);
    assertNothingBut(source);
    assertThat(mesh.node.calls).containsOnlyOnce("StartSandbox");
  }

  @Test
  void aCopyThatIsDeletedWhileTheOthersStartTakesAllOfThemAlong() throws Exception {
    Sandbox source = create();
    CountDownLatch arrived = new CountDownLatch(2);
    CountDownLatch go = new CountDownLatch(1);
    mesh.node.hook =
        method -> {
          if (method.equals("StartSandbox")) {
            arrived.countDown();
            await(go);
          }
        };
    CompletableFuture<Throwable> forking =
        CompletableFuture.supplyAsync(
            () -> catchThrowable(() -> acme.forkSandbox(fork(source, 2).build())),
            Thread::startVirtualThread);
    await(arrived);
    Sandbox copy =
        acme.listSandboxes(ListSandboxesRequest.getDefaultInstance()).getSandboxesList().stream()
            .filter(each -> !each.getId().equals(source.getId()))
            .findFirst()
            .orElseThrow();
    CompletableFuture<Void> deleted =
        CompletableFuture.runAsync(
            () -> {
              var _ = acme.deleteSandbox(delete(copy.getId()));
            },
            Thread::startVirtualThread);
    awaitState(copy.getId(), SandboxState.SANDBOX_STATE_STOPPING);
    go.countDown();
    deleted.get(Mesh.PATIENCE_S, TimeUnit.SECONDS);
    assertThat(forking.get(Mesh.PATIENCE_S, TimeUnit.SECONDS)).isNotNull();
    assertNothingBut(source);
  }

  @Test
  void aForkThatTheSchedulersEndCutsOffIsUndoneByTheNext() throws Exception {
    Sandbox source = create();
    CountDownLatch arrived = new CountDownLatch(2);
    CountDownLatch go = new CountDownLatch(1);
    mesh.node.hook =
        method -> {
          if (method.equals("StartSandbox")) {
            arrived.countDown();
            await(go);
          }
        };
    CompletableFuture<Throwable> forking =
        CompletableFuture.supplyAsync(
            () -> catchThrowable(() -> acme.forkSandbox(fork(source, 2).setRequestId("r").build())),
            Thread::startVirtualThread);
    await(arrived);
    mesh.stop();
    go.countDown();
    assertThat(forking.get(Mesh.PATIENCE_S, TimeUnit.SECONDS)).isNotNull();
    mesh.node.hook = _ -> {};
    mesh.start();
    acme = mesh.sandboxes(token);
    awaitTrue(() -> mesh.node.running.keySet().equals(java.util.Set.of(source.getId())));
    awaitTrue(mesh.node.snapshots::isEmpty);
    var _ = mesh.connect();
    awaitTrue(() ->
        acme.listSandboxes(ListSandboxesRequest.getDefaultInstance()).getSandboxesCount() == 1);
    assertThat(acme.forkSandbox(fork(source, 2).setRequestId("r").build()).getSandboxesCount())
        .isEqualTo(2);
  }

  @Test
  void boundsHoldForAllOfThemTogether() throws Exception {
    Sandbox source =
        acme.createSandbox(
            CreateSandboxRequest.newBuilder()
                .addSecrets(SecretReference.newBuilder().setSecret(FakeBroker.SECRET))
                .build());
    for (int count : new int[] {17, -1}) {
      assertRefused(
          () -> acme.forkSandbox(fork(source, count).build()),
          Status.Code.INVALID_ARGUMENT,
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT);
    }
    assertRefused(
        () -> acme.forkSandbox(fork(source, 6).build()),
        Status.Code.RESOURCE_EXHAUSTED,
        ErrorReason.ERROR_REASON_QUOTA_EXCEEDED);
    var withoutUse = mesh.sandboxes(mesh.token("acme", "sandboxes:read,sandboxes:write"));
    assertRefused(
        () -> withoutUse.forkSandbox(fork(source, 1).build()),
        Status.Code.PERMISSION_DENIED,
        ErrorReason.ERROR_REASON_SCOPE_MISSING);
    var other = mesh.sandboxes(mesh.token("other", Mesh.ALL_SCOPES));
    assertRefused(
        () -> other.forkSandbox(fork(source, 1).build()),
        Status.Code.NOT_FOUND,
        ErrorReason.ERROR_REASON_SANDBOX_NOT_FOUND);
    var _ = mesh.connect(mesh.port(), mesh.registration().setSlots(3).build());
    assertRefused(
        () -> acme.forkSandbox(fork(source, 3).build()),
        Status.Code.RESOURCE_EXHAUSTED,
        ErrorReason.ERROR_REASON_NO_CAPACITY);
    assertThat(mesh.node.calls).doesNotContain("TakeSnapshot");
    // The room that the refused one had taken is free again.
    assertThat(acme.forkSandbox(fork(source, 2).build()).getSandboxesCount()).isEqualTo(2);
    var _ = acme.deleteSandbox(delete(source.getId()));
    assertRefused(
        () -> acme.forkSandbox(fork(source, 1).build()),
        Status.Code.FAILED_PRECONDITION,
        ErrorReason.ERROR_REASON_SANDBOX_NOT_RUNNING);
  }

  private void assertNothingBut(Sandbox source) {
    assertThat(mesh.node.running).containsOnlyKeys(source.getId());
    assertThat(mesh.broker.granted).containsExactly(source.getId());
    awaitTrue(mesh.node.snapshots::isEmpty);
    List<Sandbox> all =
        acme.listSandboxes(ListSandboxesRequest.newBuilder().setShowEnded(true).build())
            .getSandboxesList();
    assertThat(all)
        .filteredOn(sandbox -> !sandbox.getId().equals(source.getId()))
        .isNotEmpty()
        .allSatisfy(sandbox -> {
          assertThat(sandbox.getState()).isEqualTo(SandboxState.SANDBOX_STATE_ENDED);
          // ENDED for one that its tenant deleted meanwhile.
          assertThat(events(sandbox.getId()))
              .hasSize(2)
              .startsWith(SandboxEventType.SANDBOX_EVENT_TYPE_CREATED)
              .doesNotContain(SandboxEventType.SANDBOX_EVENT_TYPE_RUNNING);
        });
  }

  private static ForkSandboxRequest.Builder fork(Sandbox source, int count) {
    return ForkSandboxRequest.newBuilder().setSandbox(source.getId()).setCount(count);
  }
}
