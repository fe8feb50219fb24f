package dev.cofferdam.scheduler;

import static dev.cofferdam.scheduler.Refused.assertRefused;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.tuple;

import dev.cofferdam.internal.v1.CreateGrantsRequest;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.testkit.TestPostgres;
import dev.cofferdam.v1.CreateSandboxRequest;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.ListSandboxesRequest;
import dev.cofferdam.v1.Sandbox;
import dev.cofferdam.v1.SandboxEventType;
import dev.cofferdam.v1.SandboxServiceGrpc.SandboxServiceBlockingStub;
import dev.cofferdam.v1.SandboxState;
import dev.cofferdam.v1.SecretReference;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** What goes wrong, at every step, and what is left behind: nothing. */
class FailureTest extends MeshTest {
  @Test
  void whatTheBrokerRefusesIsPassedOnAndUndone() {
    assertRefused(
        () ->
            acme.createSandbox(
                CreateSandboxRequest.newBuilder()
                    .addSecrets(SecretReference.newBuilder().setSecret("unknown"))
                    .build()),
        Status.Code.NOT_FOUND,
        ErrorReason.ERROR_REASON_SECRET_NOT_FOUND);
    assertUndone();
    assertThat(mesh.node.calls).doesNotContain("StartSandbox");
  }

  @Test
  void aNodeThatFailsLeavesNoGrants() {
    mesh.node.hook =
        failing("StartSandbox", new Refusal(ErrorReason.ERROR_REASON_GATEWAY_UNAVAILABLE, "x"));
    assertRefused(
        () -> create(), Status.Code.UNAVAILABLE, ErrorReason.ERROR_REASON_GATEWAY_UNAVAILABLE);
    assertUndone();
    mesh.node.hook =
        failing("StartSandbox", new Refusal(ErrorReason.ERROR_REASON_TICKET_INVALID, "replayed"));
    assertRefused(
        () -> create(), Status.Code.INTERNAL, ErrorReason.ERROR_REASON_SANDBOX_START_FAILED);
    assertUndone();
  }

  @Test
  void aBrokerThatIsAwayIsSaidSo() {
    mesh.broker.hook = failing("CreateGrants", Status.UNAVAILABLE.asRuntimeException());
    assertRefused(
        () -> create(), Status.Code.UNAVAILABLE, ErrorReason.ERROR_REASON_BROKER_UNAVAILABLE);
    assertUndone();
  }

  @Test
  void aDeleteSucceedsWhileBrokerAndNodeAreAwayAndIsCompletedLater() throws Exception {
    String id = create().getId();
    mesh.broker.hook = failing("RevokeGrants", Status.UNAVAILABLE.asRuntimeException());
    mesh.node.hook = failing("RemoveSandbox", Status.UNAVAILABLE.asRuntimeException());
    var _ = acme.deleteSandbox(delete(id));
    assertThat(state(id)).isEqualTo(SandboxState.SANDBOX_STATE_STOPPING);
    mesh.node.hook = _ -> {};
    mesh.clock.advance(java.time.Duration.ofSeconds(2));
    awaitCall(mesh.node.calls, "RemoveSandbox");
    awaitTrue(mesh.node.running::isEmpty);
    assertThat(state(id)).isEqualTo(SandboxState.SANDBOX_STATE_STOPPING);
    mesh.broker.hook = _ -> {};
    // Each time that the node comes back is a reason to try at once whatever waits.
    while (state(id) != SandboxState.SANDBOX_STATE_ENDED) {
      var _ = mesh.connect();
    }
    assertThat(mesh.broker.revoked).contains(id);
  }

  @Test
  void theSameRequestGivesTheSameSandbox() throws Exception {
    CreateSandboxRequest request = CreateSandboxRequest.newBuilder().setRequestId("r1").build();
    Sandbox first = acme.createSandbox(request);
    assertThat(acme.createSandbox(request)).isEqualTo(first);
    assertRefused(
        () -> acme.createSandbox(request.toBuilder().putEnv("A", "b").build()),
        Status.Code.ALREADY_EXISTS,
        ErrorReason.ERROR_REASON_REQUEST_ID_REUSED);
    // Another tenant's ids are its own.
    Sandbox others = mesh.sandboxes(mesh.token("other", Mesh.ALL_SCOPES)).createSandbox(request);
    assertThat(others.getId()).isNotEqualTo(first.getId());
    mesh.stop();
    mesh.start();
    acme = mesh.sandboxes(token);
    assertThat(acme.createSandbox(request).getId()).isEqualTo(first.getId());
    mesh.clock.advance(java.time.Duration.ofHours(25));
    var _ = mesh.connect();
    assertThat(acme.createSandbox(request).getId()).isNotEqualTo(first.getId());
  }

  @Test
  void concurrentDuplicatesGetOneAnswer() throws Exception {
    CountDownLatch arrived = new CountDownLatch(1);
    CountDownLatch go = new CountDownLatch(1);
    mesh.node.hook =
        method -> {
          if (method.equals("StartSandbox")) {
            arrived.countDown();
            await(go);
          }
        };
    CreateSandboxRequest request = CreateSandboxRequest.newBuilder().setRequestId("r1").build();
    List<CompletableFuture<Sandbox>> calls = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      calls.add(
          CompletableFuture.supplyAsync(
              () -> acme.createSandbox(request), Thread::startVirtualThread));
    }
    await(arrived);
    go.countDown();
    Set<String> ids = new java.util.HashSet<>();
    for (CompletableFuture<Sandbox> call : calls) {
      ids.add(call.get(Mesh.PATIENCE_S, TimeUnit.SECONDS).getId());
    }
    assertThat(ids).hasSize(1);
    assertThat(mesh.node.started).hasSize(1);
  }

  @Test
  void aRequestThatFailedMayBeTriedAgainUnderItsId() {
    CreateSandboxRequest request = CreateSandboxRequest.newBuilder().setRequestId("r1").build();
    mesh.node.hook =
        failing("StartSandbox", new Refusal(ErrorReason.ERROR_REASON_NO_CAPACITY, "full"));
    assertRefused(
        () -> acme.createSandbox(request),
        Status.Code.RESOURCE_EXHAUSTED,
        ErrorReason.ERROR_REASON_NO_CAPACITY);
    assertUndone();
    mesh.node.hook = _ -> {};
    assertThat(acme.createSandbox(request).getState())
        .isEqualTo(SandboxState.SANDBOX_STATE_RUNNING);
  }

  @Test
  void aSandboxDeletedWhileItStartsIsGoneAfterwardsAndItsRequestIdIsFree() throws Exception {
    CountDownLatch arrived = new CountDownLatch(1);
    CountDownLatch go = new CountDownLatch(1);
    mesh.node.hook =
        method -> {
          if (method.equals("StartSandbox")) {
            arrived.countDown();
            await(go);
          }
        };
    CreateSandboxRequest request = CreateSandboxRequest.newBuilder().setRequestId("r1").build();
    CompletableFuture<Throwable> create =
        CompletableFuture.supplyAsync(
            () -> org.assertj.core.api.Assertions.catchThrowable(() -> acme.createSandbox(request)),
            Thread::startVirtualThread);
    await(arrived);
    String id =
        acme.listSandboxes(ListSandboxesRequest.getDefaultInstance()).getSandboxes(0).getId();
    CompletableFuture<Void> deleted =
        CompletableFuture.runAsync(
            () -> {
              var _ = acme.deleteSandbox(delete(id));
            },
            Thread::startVirtualThread);
    awaitState(id, SandboxState.SANDBOX_STATE_STOPPING);
    go.countDown();
    deleted.get(Mesh.PATIENCE_S, TimeUnit.SECONDS);
    assertThat(create.get(Mesh.PATIENCE_S, TimeUnit.SECONDS))
        .isInstanceOfSatisfying(
            StatusRuntimeException.class,
            e ->
                assertThat(Refusals.reason(e))
                    .contains(ErrorReason.ERROR_REASON_SANDBOX_START_FAILED));
    assertThat(mesh.node.running).isEmpty();
    assertThat(mesh.broker.granted).isEmpty();
    assertThat(state(id)).isEqualTo(SandboxState.SANDBOX_STATE_ENDED);
    Sandbox again = acme.createSandbox(request);
    assertThat(again.getId()).isNotEqualTo(id);
    assertThat(again.getState()).isEqualTo(SandboxState.SANDBOX_STATE_RUNNING);
  }

  @Test
  void aNodesRoomIsFreeOnceItHasRemovedWhoeverElseIsAway() throws Exception {
    var _ = mesh.connect(mesh.port(), mesh.registration().setSlots(1).build());
    String id = create().getId();
    mesh.broker.hook = failing("RevokeGrants", Status.UNAVAILABLE.asRuntimeException());
    var _ = acme.deleteSandbox(delete(id));
    assertThat(state(id)).isEqualTo(SandboxState.SANDBOX_STATE_STOPPING);
    assertThat(create().getState()).isEqualTo(SandboxState.SANDBOX_STATE_RUNNING);
  }

  @Test
  void whereANodeRefusesAnotherIsTried() throws Exception {
    mesh.connectAs("n2");
    AtomicInteger starts = new AtomicInteger();
    mesh.node.hook =
        method -> {
          if (method.equals("StartSandbox") && starts.getAndIncrement() == 0) {
            throw new Refusal(ErrorReason.ERROR_REASON_NO_CAPACITY, "full");
          }
        };
    Sandbox made = create();
    assertThat(made.getState()).isEqualTo(SandboxState.SANDBOX_STATE_RUNNING);
    assertThat(mesh.node.running).containsExactly(Map.entry(made.getId(), 2L));
    assertThat(mesh.broker.grants)
        .extracting(CreateGrantsRequest::getNode, CreateGrantsRequest::getEpoch)
        .containsExactly(
            tuple(made.getNode().equals("n1") ? "n2" : "n1", 1L), tuple(made.getNode(), 2L));
  }

  @Test
  void whereAllRefuseTheLastOnesReasonIsGivenAndNothingIsLeft() throws Exception {
    mesh.connectAs("n2");
    mesh.node.hook =
        failing("StartSandbox", new Refusal(ErrorReason.ERROR_REASON_NO_CAPACITY, "full"));
    assertRefused(
        () -> create(), Status.Code.RESOURCE_EXHAUSTED, ErrorReason.ERROR_REASON_NO_CAPACITY);
    assertUndone();
    assertThat(mesh.node.calls).filteredOn("StartSandbox"::equals).hasSize(2);
  }

  @Test
  void aNodeThatSaysWhoIsAwayIsAskedOnce() {
    mesh.node.hook =
        failing("StartSandbox", new Refusal(ErrorReason.ERROR_REASON_GATEWAY_UNAVAILABLE, "x"));
    assertRefused(
        () -> create(), Status.Code.UNAVAILABLE, ErrorReason.ERROR_REASON_GATEWAY_UNAVAILABLE);
    // Its ticket is spent: a second try could only fail for a reason that is not the real one.
    assertThat(mesh.node.calls).containsOnlyOnce("StartSandbox");
  }

  @Test
  void aCreateWhoseCallerIsCutOffByTheSchedulersEndLeavesNothing() throws Exception {
    CountDownLatch arrived = new CountDownLatch(1);
    CountDownLatch go = new CountDownLatch(1);
    mesh.node.hook =
        method -> {
          if (method.equals("StartSandbox")) {
            arrived.countDown();
            await(go);
          }
        };
    CompletableFuture<Sandbox> create =
        CompletableFuture.supplyAsync(this::create, Thread::startVirtualThread);
    await(arrived);
    CompletableFuture<Void> stopped =
        CompletableFuture.runAsync(mesh::stop, Thread::startVirtualThread);
    assertThat(create).failsWithin(Mesh.PATIENCE_S, TimeUnit.SECONDS);
    go.countDown();
    stopped.get(Mesh.PATIENCE_S, TimeUnit.SECONDS);
    mesh.start();
    acme = mesh.sandboxes(token);
    String id =
        acme.listSandboxes(ListSandboxesRequest.newBuilder().setShowEnded(true).build())
            .getSandboxes(0)
            .getId();
    awaitState(id, SandboxState.SANDBOX_STATE_ENDED);
    assertThat(mesh.node.running).isEmpty();
  }

  @Test
  void aDatabaseThatIsAwayIsSaidSoAtOnce() throws Exception {
    TestPostgres own = TestPostgres.start();
    try (Mesh other = new Mesh(directory, own)) {
      other.start();
      SandboxServiceBlockingStub tenant = other.sandboxes(other.token("acme", Mesh.ALL_SCOPES));
      own.close();
      assertThatThrownBy(() -> tenant.listSandboxes(ListSandboxesRequest.getDefaultInstance()))
          .isInstanceOfSatisfying(
              StatusRuntimeException.class,
              e ->
                  assertThat(Refusals.reason(e))
                      .contains(ErrorReason.ERROR_REASON_DATABASE_UNAVAILABLE));
    }
  }

  private void assertUndone() {
    assertThat(mesh.broker.granted).isEmpty();
    assertThat(mesh.node.running).isEmpty();
    List<Sandbox> all =
        acme.listSandboxes(ListSandboxesRequest.newBuilder().setShowEnded(true).build())
            .getSandboxesList();
    assertThat(all)
        .isNotEmpty()
        .allSatisfy(sandbox -> {
          assertThat(sandbox.getState()).isEqualTo(SandboxState.SANDBOX_STATE_ENDED);
          assertThat(sandbox.getEndMessage()).isNotEmpty();
        });
    assertThat(events(all.getFirst().getId()))
        .containsExactly(
            SandboxEventType.SANDBOX_EVENT_TYPE_CREATED,
            SandboxEventType.SANDBOX_EVENT_TYPE_START_FAILED);
  }
}
