package dev.cofferdam.scheduler.api;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.scheduler.cluster.Cluster;
import dev.cofferdam.scheduler.cluster.NodeStatus;
import dev.cofferdam.scheduler.sandbox.Texts;
import dev.cofferdam.v1.DrainNodeRequest;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.ListNodesRequest;
import dev.cofferdam.v1.ListNodesResponse;
import dev.cofferdam.v1.Node;
import dev.cofferdam.v1.NodeServiceGrpc;
import dev.cofferdam.v1.UndrainNodeRequest;
import io.grpc.stub.StreamObserver;

/** What operators do with nodes. The listener has checked the client certificate. */
public final class NodeApi extends NodeServiceGrpc.NodeServiceImplBase {
  private final Cluster cluster;

  public NodeApi(Cluster cluster) {
    this.cluster = cluster;
  }

  @Override
  public void listNodes(ListNodesRequest request, StreamObserver<ListNodesResponse> observer) {
    ListNodesResponse.Builder response = ListNodesResponse.newBuilder();
    cluster.status().stream().map(NodeApi::node).forEach(response::addNodes);
    observer.onNext(response.build());
    observer.onCompleted();
  }

  @Override
  public void drainNode(DrainNodeRequest request, StreamObserver<Node> observer) {
    drain(request.getNode(), true, observer);
  }

  @Override
  public void undrainNode(UndrainNodeRequest request, StreamObserver<Node> observer) {
    drain(request.getNode(), false, observer);
  }

  private void drain(String name, boolean draining, StreamObserver<Node> observer) {
    NodeStatus status =
        cluster
            .drain(name, draining)
            .orElseThrow(() ->
                new Refusal(
                    ErrorReason.ERROR_REASON_INVALID_ARGUMENT,
                    "node is " + Texts.quoted(name) + ", expected one that has registered"));
    observer.onNext(node(status));
    observer.onCompleted();
  }

  private static Node node(NodeStatus status) {
    return Node.newBuilder()
        .setName(status.view().name())
        .setConnected(status.view().present())
        .setDraining(status.draining())
        .setPressure(status.pressure())
        .setIsolation(status.view().isolation().wireName())
        .setHypervisor(status.hypervisor())
        .setSlots(status.view().slots())
        .setFreeSlots(status.view().freeSlots())
        .setFreeMemoryMib(status.view().freeMemoryMib())
        .setFreeDiskMib(status.view().freeDiskMib())
        .addAllTemplates(status.view().templates().stream().sorted().toList())
        .setSandboxes(status.sandboxes())
        .build();
  }
}
