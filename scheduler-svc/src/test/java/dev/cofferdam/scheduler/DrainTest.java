package dev.cofferdam.scheduler;

import static dev.cofferdam.scheduler.Refused.assertRefused;
import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.v1.DrainNodeRequest;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.ForkSandboxRequest;
import dev.cofferdam.v1.ListNodesRequest;
import dev.cofferdam.v1.Node;
import dev.cofferdam.v1.NodeServiceGrpc;
import dev.cofferdam.v1.SandboxState;
import dev.cofferdam.v1.UndrainNodeRequest;
import io.grpc.Status;
import org.junit.jupiter.api.Test;

/** Operators take nodes out of use without harm to what runs there. */
class DrainTest extends MeshTest {
  @Test
  void nothingNewComesToADrainedNodeAndWhatIsThereGoesOn() throws Exception {
    String id = create().getId();
    for (int i = 0; i < 2; i++) {
      assertThat(operator().drainNode(drain("n1")).getDraining()).isTrue();
    }
    assertRefused(
        () -> create(), Status.Code.RESOURCE_EXHAUSTED, ErrorReason.ERROR_REASON_NO_CAPACITY);
    assertRefused(
        () -> acme.forkSandbox(ForkSandboxRequest.newBuilder().setSandbox(id).build()),
        Status.Code.RESOURCE_EXHAUSTED,
        ErrorReason.ERROR_REASON_NO_CAPACITY);
    mesh.stop();
    mesh.start();
    acme = mesh.sandboxes(token);
    var _ = mesh.connect();
    assertRefused(
        () -> create(), Status.Code.RESOURCE_EXHAUSTED, ErrorReason.ERROR_REASON_NO_CAPACITY);
    assertThat(state(id)).isEqualTo(SandboxState.SANDBOX_STATE_RUNNING);
    Node node = operator().listNodes(ListNodesRequest.getDefaultInstance()).getNodes(0);
    assertThat(node.getName()).isEqualTo("n1");
    assertThat(node.getConnected()).isTrue();
    assertThat(node.getDraining()).isTrue();
    assertThat(node.getSandboxes()).isEqualTo(1);
    assertThat(node.getFreeSlots()).isEqualTo(19);
    var _ = operator().undrainNode(UndrainNodeRequest.newBuilder().setNode("n1").build());
    assertThat(create().getState()).isEqualTo(SandboxState.SANDBOX_STATE_RUNNING);
  }

  @Test
  void theNodeIsToldWithEachRegistrationAndWhenItChanges() throws Exception {
    Mesh.NodeClient node = mesh.connect();
    assertThat(node.drained()).isFalse();
    var _ = operator().drainNode(drain("n1"));
    assertThat(node.drained()).isTrue();
    node.leave();
    assertThat(mesh.connect().drained()).isTrue();
    mesh.stop();
    mesh.start();
    node = mesh.connect();
    assertThat(node.drained()).isTrue();
    var _ = operator().undrainNode(UndrainNodeRequest.newBuilder().setNode("n1").build());
    assertThat(node.drained()).isFalse();
  }

  @Test
  void tenantsAndNodesDrainNothing() {
    var tenant = NodeServiceGrpc.newBlockingStub(mesh.tenant(token));
    assertRefused(
        () -> tenant.drainNode(drain("n1")),
        Status.Code.PERMISSION_DENIED,
        ErrorReason.ERROR_REASON_PEER_NOT_ALLOWED);
    var node = NodeServiceGrpc.newBlockingStub(mesh.peer("node-agent", "n1", mesh.port()));
    assertRefused(
        () -> node.listNodes(ListNodesRequest.getDefaultInstance()),
        Status.Code.PERMISSION_DENIED,
        ErrorReason.ERROR_REASON_PEER_NOT_ALLOWED);
    assertRefused(
        () -> operator().drainNode(drain("n2")),
        Status.Code.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_INVALID_ARGUMENT);
    assertThat(create().getState()).isEqualTo(SandboxState.SANDBOX_STATE_RUNNING);
  }

  private NodeServiceGrpc.NodeServiceBlockingStub operator() {
    return NodeServiceGrpc.newBlockingStub(mesh.peer("operator", "alice", mesh.port()));
  }

  private static DrainNodeRequest drain(String node) {
    return DrainNodeRequest.newBuilder().setNode(node).build();
  }
}
