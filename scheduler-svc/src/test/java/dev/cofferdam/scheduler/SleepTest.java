package dev.cofferdam.scheduler;

import static dev.cofferdam.scheduler.Refused.assertRefused;
import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.Duration;
import dev.cofferdam.internal.v1.ConnectRequest;
import dev.cofferdam.internal.v1.SandboxChanged;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.CreateSandboxRequest;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.ExtendSandboxRequest;
import dev.cofferdam.v1.PauseSandboxRequest;
import dev.cofferdam.v1.ResumeSandboxRequest;
import dev.cofferdam.v1.Sandbox;
import dev.cofferdam.v1.SandboxEventType;
import dev.cofferdam.v1.SandboxSize;
import dev.cofferdam.v1.SandboxState;
import dev.cofferdam.v1.StartWay;
import dev.cofferdam.v1.StatFileRequest;
import dev.cofferdam.v1.SuspendSandboxRequest;
import dev.cofferdam.v1.TimeoutAction;
import dev.cofferdam.v1.UpdateSandboxPolicyRequest;
import io.grpc.Status;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** Pausing, resuming and suspending: what the node does is what is on record. */
class SleepTest extends MeshTest {
  @Test
  void asTheTenantSaysAndTwiceIsAsGoodAsOnce() {
    String id = create().getId();
    for (int i = 0; i < 2; i++) {
      assertThat(acme.pauseSandbox(pause(id)).getState())
          .isEqualTo(SandboxState.SANDBOX_STATE_PAUSED);
      assertThat(mesh.node.state(id)).isEqualTo(SandboxState.SANDBOX_STATE_PAUSED);
    }
    for (int i = 0; i < 2; i++) {
      assertThat(acme.suspendSandbox(suspend(id)).getState())
          .isEqualTo(SandboxState.SANDBOX_STATE_SUSPENDED);
    }
    for (int i = 0; i < 2; i++) {
      assertThat(acme.resumeSandbox(resume(id)).getState())
          .isEqualTo(SandboxState.SANDBOX_STATE_RUNNING);
    }
    assertThat(mesh.node.state(id)).isEqualTo(SandboxState.SANDBOX_STATE_RUNNING);
    assertThat(events(id))
        .endsWith(
            SandboxEventType.SANDBOX_EVENT_TYPE_RUNNING,
            SandboxEventType.SANDBOX_EVENT_TYPE_PAUSED,
            SandboxEventType.SANDBOX_EVENT_TYPE_SUSPENDED,
            SandboxEventType.SANDBOX_EVENT_TYPE_RESUMED);
    // Each time the node was asked: the record may be behind what the node does by itself.
    assertThat(mesh.node.calls).filteredOn("SetSandboxState"::equals).hasSize(6);
  }

  @Test
  void othersSandboxesAreOutOfReachAndTheDeadStayDead() {
    String id = create().getId();
    var other = mesh.sandboxes(mesh.token("other", Mesh.ALL_SCOPES));
    assertRefused(
        () -> other.pauseSandbox(pause(id)),
        Status.Code.NOT_FOUND,
        ErrorReason.ERROR_REASON_SANDBOX_NOT_FOUND);
    var reader = mesh.sandboxes(mesh.token("acme", "sandboxes:read,exec"));
    assertRefused(
        () -> reader.suspendSandbox(suspend(id)),
        Status.Code.PERMISSION_DENIED,
        ErrorReason.ERROR_REASON_SCOPE_MISSING);
    var _ = acme.deleteSandbox(delete(id));
    assertRefused(
        () -> acme.resumeSandbox(resume(id)),
        Status.Code.FAILED_PRECONDITION,
        ErrorReason.ERROR_REASON_SANDBOX_NOT_RUNNING);
    assertThat(mesh.node.calls).doesNotContain("SetSandboxState");
  }

  @Test
  void whatTheNodeCannotDoIsPassedOnAndNothingHasChanged() {
    String id = create().getId();
    mesh.node.hook =
        failing("SetSandboxState", new Refusal(ErrorReason.ERROR_REASON_MACHINE_FAILED, "stuck"));
    assertRefused(
        () -> acme.suspendSandbox(suspend(id)),
        Status.Code.INTERNAL,
        ErrorReason.ERROR_REASON_MACHINE_FAILED);
    assertThat(state(id)).isEqualTo(SandboxState.SANDBOX_STATE_RUNNING);
    mesh.node.hook =
        failing("SetSandboxState", new Refusal(ErrorReason.ERROR_REASON_NO_CAPACITY, "no memory"));
    assertRefused(
        () -> acme.resumeSandbox(resume(id)),
        Status.Code.RESOURCE_EXHAUSTED,
        ErrorReason.ERROR_REASON_NO_CAPACITY);
    mesh.node.hook = _ -> {};
    mesh.clock.advance(java.time.Duration.ofSeconds(30));
    // Neither is asked for again: a pause that follows is the only one.
    assertThat(acme.pauseSandbox(pause(id)).getState())
        .isEqualTo(SandboxState.SANDBOX_STATE_PAUSED);
    assertThat(mesh.node.calls).filteredOn("SetSandboxState"::equals).hasSize(3);
  }

  @Test
  void aLostAnswerIsAskedForAgain() throws Exception {
    String id = create().getId();
    mesh.node.hook = failing("SetSandboxState, done", Status.UNAVAILABLE.asRuntimeException());
    assertRefused(
        () -> acme.pauseSandbox(pause(id)),
        Status.Code.UNAVAILABLE,
        ErrorReason.ERROR_REASON_NODE_UNAVAILABLE);
    assertThat(state(id)).isEqualTo(SandboxState.SANDBOX_STATE_RUNNING);
    mesh.node.hook = _ -> {};
    mesh.clock.advance(java.time.Duration.ofSeconds(6));
    awaitEvent(id, SandboxEventType.SANDBOX_EVENT_TYPE_PAUSED);
  }

  @Test
  void whatWasAskedLastIsWhatIsAskedAgain() throws Exception {
    String id = create().getId();
    mesh.node.hook = failing("SetSandboxState, done", Status.UNAVAILABLE.asRuntimeException());
    assertRefused(
        () -> acme.pauseSandbox(pause(id)),
        Status.Code.UNAVAILABLE,
        ErrorReason.ERROR_REASON_NODE_UNAVAILABLE);
    mesh.node.hook = _ -> {};
    var _ = acme.resumeSandbox(resume(id));
    int calls = mesh.node.calls.size();
    mesh.clock.advance(java.time.Duration.ofSeconds(6));
    // The marker: what is due by now has been done when this is.
    String other =
        acme.createSandbox(
                CreateSandboxRequest.newBuilder()
                    .setLifetime(Duration.newBuilder().setSeconds(1))
                    .build())
            .getId();
    mesh.clock.advance(java.time.Duration.ofSeconds(2));
    awaitEvent(other, SandboxEventType.SANDBOX_EVENT_TYPE_ENDED);
    assertThat(mesh.node.calls.subList(calls, mesh.node.calls.size()))
        .doesNotContain("SetSandboxState");
    assertThat(mesh.node.state(id)).isEqualTo(SandboxState.SANDBOX_STATE_RUNNING);
  }

  @Test
  void anAnswerThatASchedulersEndCutOffIsLearntFromTheNextRegistration() throws Exception {
    String id = create().getId();
    mesh.node.hook = failing("SetSandboxState, done", Status.UNAVAILABLE.asRuntimeException());
    assertRefused(
        () -> acme.suspendSandbox(suspend(id)),
        Status.Code.UNAVAILABLE,
        ErrorReason.ERROR_REASON_NODE_UNAVAILABLE);
    mesh.stop();
    mesh.node.hook = _ -> {};
    mesh.start();
    acme = mesh.sandboxes(token);
    assertThat(state(id)).isEqualTo(SandboxState.SANDBOX_STATE_RUNNING);
    var _ = mesh.connect();
    awaitEvent(id, SandboxEventType.SANDBOX_EVENT_TYPE_SUSPENDED);
    assertThat(state(id)).isEqualTo(SandboxState.SANDBOX_STATE_SUSPENDED);
  }

  @Test
  void whatTheNodeDoesByItselfIsOnRecord() throws Exception {
    String id = create().getId();
    Mesh.NodeClient node = mesh.connect();
    // Of an assignment that is none, of a sandbox that is none, and then of this one.
    node.requests.onNext(changed(id, 2, SandboxState.SANDBOX_STATE_PAUSED, 9));
    node.requests.onNext(changed("no-id", 1, SandboxState.SANDBOX_STATE_PAUSED, 9));
    node.requests.onNext(changed(id, 1, SandboxState.SANDBOX_STATE_SUSPENDED, 3));
    awaitEvent(id, SandboxEventType.SANDBOX_EVENT_TYPE_SUSPENDED);
    node.requests.onNext(changed(id, 1, SandboxState.SANDBOX_STATE_RUNNING, 4));
    // Sent before, and late: nothing falls asleep again by it.
    node.requests.onNext(changed(id, 1, SandboxState.SANDBOX_STATE_SUSPENDED, 3));
    node.requests.onNext(changed(id, 1, SandboxState.SANDBOX_STATE_PAUSED, 5));
    awaitEvent(id, SandboxEventType.SANDBOX_EVENT_TYPE_PAUSED);
    assertThat(events(id))
        .endsWith(
            SandboxEventType.SANDBOX_EVENT_TYPE_RUNNING,
            SandboxEventType.SANDBOX_EVENT_TYPE_SUSPENDED,
            SandboxEventType.SANDBOX_EVENT_TYPE_RESUMED,
            SandboxEventType.SANDBOX_EVENT_TYPE_PAUSED);
  }

  @Test
  void aStateThatNoNodeCanMeanEndsItsStream() throws Exception {
    String id = create().getId();
    Mesh.NodeClient node = mesh.connect();
    node.requests.onNext(changed(id, 1, SandboxState.SANDBOX_STATE_ENDED, 1));
    assertThat(node.end()).hasMessageContaining("ENDED");
    assertThat(state(id)).isEqualTo(SandboxState.SANDBOX_STATE_RUNNING);
  }

  @Test
  void callsWakeWhatSleepsAndNotWhatIsPaused() throws Exception {
    String id = create().getId();
    var _ = acme.suspendSandbox(suspend(id));
    var files = dev.cofferdam.v1.FileServiceGrpc.newBlockingStub(mesh.tenant(token));
    StatFileRequest stat = StatFileRequest.newBuilder().setSandbox(id).setPath("/x").build();
    assertThat(files.withDeadlineAfter(30, TimeUnit.SECONDS).statFile(stat).getPath())
        .isEqualTo("/x");
    var _ = acme.resumeSandbox(resume(id));
    var _ = acme.pauseSandbox(pause(id));
    assertRefused(
        () -> files.withDeadlineAfter(30, TimeUnit.SECONDS).statFile(stat),
        Status.Code.FAILED_PRECONDITION,
        ErrorReason.ERROR_REASON_SANDBOX_NOT_RUNNING);
  }

  @Test
  void whatIsDeletedWhileItFallsAsleepIsGone() throws Exception {
    String id = create().getId();
    CountDownLatch arrived = new CountDownLatch(1);
    CountDownLatch go = new CountDownLatch(1);
    mesh.node.hook =
        method -> {
          if (method.equals("SetSandboxState, done")) {
            arrived.countDown();
            await(go);
          }
        };
    CompletableFuture<Void> suspending =
        CompletableFuture.runAsync(
            () ->
                assertRefused(
                    () -> acme.suspendSandbox(suspend(id)),
                    Status.Code.FAILED_PRECONDITION,
                    ErrorReason.ERROR_REASON_SANDBOX_NOT_RUNNING),
            Thread::startVirtualThread);
    await(arrived);
    var _ = acme.deleteSandbox(delete(id));
    go.countDown();
    suspending.get(Mesh.PATIENCE_S, TimeUnit.SECONDS);
    assertThat(state(id)).isEqualTo(SandboxState.SANDBOX_STATE_ENDED);
    assertThat(mesh.node.running).isEmpty();
    assertThat(mesh.broker.granted).isEmpty();
  }

  @Test
  void asleepItIsExtendedGivenAPolicyAndDeleted() {
    String id = create().getId();
    var _ = acme.suspendSandbox(suspend(id));
    Sandbox extended =
        acme.extendSandbox(
            ExtendSandboxRequest.newBuilder()
                .setSandbox(id)
                .setLifetime(Duration.newBuilder().setSeconds(60))
                .build());
    assertThat(extended.hasExpireTime()).isTrue();
    assertThat(extended.getState()).isEqualTo(SandboxState.SANDBOX_STATE_SUSPENDED);
    var _ =
        acme.updateSandboxPolicy(UpdateSandboxPolicyRequest.newBuilder().setSandbox(id).build());
    var _ = acme.deleteSandbox(delete(id));
    assertThat(state(id)).isEqualTo(SandboxState.SANDBOX_STATE_ENDED);
    assertThat(mesh.node.running).isEmpty();
  }

  @Test
  void atTheEndOfItsTimeItSleepsWhereThatWasAskedForAlsoAfterARestart() throws Exception {
    String id = limited(TimeoutAction.TIMEOUT_ACTION_SUSPEND);
    mesh.node.hook =
        failing("SetSandboxState", new Refusal(ErrorReason.ERROR_REASON_MACHINE_FAILED, "busy"));
    mesh.clock.advance(java.time.Duration.ofSeconds(6));
    awaitCall(mesh.node.calls, "SetSandboxState");
    mesh.stop();
    mesh.node.hook = _ -> {};
    mesh.start();
    acme = mesh.sandboxes(token);
    awaitEvent(id, SandboxEventType.SANDBOX_EVENT_TYPE_SUSPENDED);
    awaitTrue(() -> !acme.getSandbox(get(id)).hasExpireTime());
    assertThat(state(id)).isEqualTo(SandboxState.SANDBOX_STATE_SUSPENDED);
    assertThat(mesh.node.state(id)).isEqualTo(SandboxState.SANDBOX_STATE_SUSPENDED);
  }

  @Test
  void atTheEndOfItsTimeItGoesOnWhereThatWasAskedFor() {
    String id = limited(TimeoutAction.TIMEOUT_ACTION_NONE);
    mesh.clock.advance(java.time.Duration.ofSeconds(6));
    awaitEvent(id, SandboxEventType.SANDBOX_EVENT_TYPE_EXPIRED);
    Sandbox sandbox = acme.getSandbox(get(id));
    assertThat(sandbox.getState()).isEqualTo(SandboxState.SANDBOX_STATE_RUNNING);
    assertThat(sandbox.hasExpireTime()).isFalse();
    assertThat(sandbox.getTimeoutAction()).isEqualTo(TimeoutAction.TIMEOUT_ACTION_NONE);
  }

  @Test
  void atTheEndOfItsTimeItEndsAlsoWhereItSleeps() {
    String id = limited(TimeoutAction.TIMEOUT_ACTION_UNSPECIFIED);
    var _ = acme.suspendSandbox(suspend(id));
    mesh.clock.advance(java.time.Duration.ofSeconds(6));
    awaitEvent(id, SandboxEventType.SANDBOX_EVENT_TYPE_ENDED);
    assertThat(mesh.node.running).isEmpty();
  }

  @Test
  void theNodeIsToldWhenToSuspendAndTellsHowItStarted() {
    Sandbox made =
        acme.createSandbox(
            CreateSandboxRequest.newBuilder()
                .setIdleTimeout(Duration.newBuilder().setSeconds(90).setNanos(500_000_000))
                .build());
    assertThat(mesh.node.started.getFirst().getIdleTimeoutMs()).isEqualTo(90_500);
    assertThat(made.getIdleTimeout().getSeconds()).isEqualTo(90);
    assertThat(made.getStart().getWay()).isEqualTo(StartWay.START_WAY_POOLED);
    assertThat(made.getStart().getStepsMsMap()).containsEntry("claim", 1.5);
    assertThat(made.getStart().hasDuration()).isTrue();
    assertThat(acme.getSandbox(get(made.getId()))).isEqualTo(made);
  }

  @Test
  void whatSleepsLeavesItsMemoryToOthersAlsoAfterARestart() throws Exception {
    var small = mesh.registration().setMemoryMib(1024).build();
    var _ = mesh.connect(mesh.port(), small);
    CreateSandboxRequest all =
        CreateSandboxRequest.newBuilder()
            .setSize(SandboxSize.newBuilder().setMemoryMib(1024))
            .build();
    String id = acme.createSandbox(all).getId();
    assertRefused(
        () -> acme.createSandbox(all),
        Status.Code.RESOURCE_EXHAUSTED,
        ErrorReason.ERROR_REASON_NO_CAPACITY);
    var _ = acme.suspendSandbox(suspend(id));
    var _ = acme.deleteSandbox(delete(acme.createSandbox(all).getId()));
    mesh.stop();
    mesh.start();
    acme = mesh.sandboxes(token);
    var _ = mesh.connect(mesh.port(), mesh.registration().setMemoryMib(1024).build());
    String second = acme.createSandbox(all).getId();
    assertThat(second).isNotEqualTo(id);
  }

  private String limited(TimeoutAction action) {
    return acme.createSandbox(
            CreateSandboxRequest.newBuilder()
                .setLifetime(Duration.newBuilder().setSeconds(5))
                .setTimeoutAction(action)
                .build())
        .getId();
  }

  private static ConnectRequest changed(String id, long epoch, SandboxState state, long change) {
    return ConnectRequest.newBuilder()
        .setSandboxChanged(
            SandboxChanged.newBuilder()
                .setSandbox(id)
                .setEpoch(epoch)
                .setState(state)
                .setChange(change)
                .setMessage("idle for 60 s"))
        .build();
  }

  private static PauseSandboxRequest pause(String id) {
    return PauseSandboxRequest.newBuilder().setSandbox(id).build();
  }

  private static ResumeSandboxRequest resume(String id) {
    return ResumeSandboxRequest.newBuilder().setSandbox(id).build();
  }

  private static SuspendSandboxRequest suspend(String id) {
    return SuspendSandboxRequest.newBuilder().setSandbox(id).build();
  }
}
