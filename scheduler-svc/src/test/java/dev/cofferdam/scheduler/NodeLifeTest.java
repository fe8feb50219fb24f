package dev.cofferdam.scheduler;

import static dev.cofferdam.scheduler.Refused.assertRefused;
import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.Duration;
import dev.cofferdam.internal.v1.ConnectRequest;
import dev.cofferdam.internal.v1.SandboxLost;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.v1.CreateSandboxRequest;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.SandboxEventType;
import dev.cofferdam.v1.SandboxServiceGrpc.SandboxServiceBlockingStub;
import dev.cofferdam.v1.SandboxState;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import org.junit.jupiter.api.Test;

/** Nodes that come, go, fall silent and lose what they had; sandboxes whose time is over. */
class NodeLifeTest extends MeshTest {
  @Test
  void withoutANodeThereIsNothingToPlaceOn() throws Exception {
    try (Mesh empty = new Mesh(directory, postgres)) {
      empty.start();
      SandboxServiceBlockingStub tenant = empty.sandboxes(empty.token("acme", Mesh.ALL_SCOPES));
      assertRefused(
          () -> tenant.createSandbox(CreateSandboxRequest.getDefaultInstance()),
          Status.Code.UNAVAILABLE,
          ErrorReason.ERROR_REASON_NODE_UNAVAILABLE);
      empty.connect().requests.onCompleted();
      awaitGone(empty, tenant);
      // The template is known, so it is the node that is missing.
      assertRefused(
          () -> tenant.createSandbox(CreateSandboxRequest.getDefaultInstance()),
          Status.Code.UNAVAILABLE,
          ErrorReason.ERROR_REASON_NODE_UNAVAILABLE);
    }
  }

  @Test
  void lifetimesEndAlsoAfterARestart() throws Exception {
    String id =
        acme.createSandbox(
                CreateSandboxRequest.newBuilder()
                    .setLifetime(Duration.newBuilder().setSeconds(5))
                    .build())
            .getId();
    mesh.stop();
    mesh.clock.advance(java.time.Duration.ofSeconds(6));
    mesh.start();
    acme = mesh.sandboxes(token);
    // The node has not come back yet; its address is on record.
    awaitEvent(id, SandboxEventType.SANDBOX_EVENT_TYPE_ENDED);
    assertThat(mesh.node.running).isEmpty();
    assertThat(acme.getSandbox(get(id)).getEndMessage()).contains("lifetime");
  }

  @Test
  void aVmThatEndsByItselfEndsItsSandbox() throws Exception {
    String id = create().getId();
    Mesh.NodeClient node = mesh.connect();
    node.requests.onNext(
        ConnectRequest.newBuilder()
            .setSandboxLost(SandboxLost.newBuilder().setSandbox(id).setEpoch(2).setMessage("old"))
            .build());
    node.requests.onNext(
        ConnectRequest.newBuilder()
            .setSandboxLost(
                SandboxLost.newBuilder().setSandbox(id).setEpoch(1).setMessage("out of memory"))
            .build());
    awaitEvent(id, SandboxEventType.SANDBOX_EVENT_TYPE_ENDED);
    assertThat(acme.getSandbox(get(id)).getEndMessage()).isEqualTo("out of memory");
    assertThat(mesh.broker.revoked).contains(id);
  }

  @Test
  void aNodeThatComesBackIsBroughtInLineWithTheRecord() throws Exception {
    String kept = create().getId();
    String lost = create().getId();
    mesh.clock.advance(java.time.Duration.ofSeconds(5));
    mesh.node.running.remove(lost);
    mesh.node.running.put("sb-77777777777777777777", 1L);
    Mesh.NodeClient node = mesh.connect();
    assertThat(node.next().getRemoveSandbox()).isEqualTo("sb-77777777777777777777");
    awaitEvent(lost, SandboxEventType.SANDBOX_EVENT_TYPE_ENDED);
    assertThat(state(kept)).isEqualTo(SandboxState.SANDBOX_STATE_RUNNING);
  }

  @Test
  void aListOlderThanASandboxIsNotJudgedBy() throws Exception {
    var old = mesh.registration().build();
    String id = create().getId();
    Throwable end = mesh.open(mesh.port(), old).end();
    assertThat(Refusals.reason(end)).contains(ErrorReason.ERROR_REASON_NODE_UNAVAILABLE);
    assertThat(state(id)).isEqualTo(SandboxState.SANDBOX_STATE_RUNNING);
  }

  @Test
  void aSilentNodeIsGoneAndItsSandboxesStay() throws Exception {
    String id = create().getId();
    Mesh.NodeClient node = mesh.connect();
    mesh.clock.advance(java.time.Duration.ofSeconds(11));
    assertThat(node.end()).hasMessageContaining("no heartbeat");
    assertRefused(
        () -> create(), Status.Code.UNAVAILABLE, ErrorReason.ERROR_REASON_NODE_UNAVAILABLE);
    assertThat(state(id)).isEqualTo(SandboxState.SANDBOX_STATE_RUNNING);
  }

  private static void awaitGone(Mesh mesh, SandboxServiceBlockingStub tenant) {
    int tries = 0;
    while (tries++ < 10_000) {
      try {
        var made = tenant.createSandbox(CreateSandboxRequest.getDefaultInstance());
        var _ = tenant.deleteSandbox(delete(made.getId()));
      } catch (StatusRuntimeException e) {
        return;
      }
    }
    throw new AssertionError("the node did not leave; it has " + mesh.node.running);
  }
}
