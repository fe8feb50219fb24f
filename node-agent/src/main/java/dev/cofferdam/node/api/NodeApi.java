package dev.cofferdam.node.api;

import dev.cofferdam.internal.v1.NodeServiceGrpc;
import dev.cofferdam.internal.v1.RemoveSandboxRequest;
import dev.cofferdam.internal.v1.RemoveSandboxResponse;
import dev.cofferdam.internal.v1.StartSandboxRequest;
import dev.cofferdam.internal.v1.StartSandboxResponse;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.node.sandbox.Sandboxes;
import dev.cofferdam.node.sandbox.StartOrder;
import dev.cofferdam.node.sandbox.Started;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.SandboxSize;
import dev.cofferdam.v1.StartWay;
import io.grpc.stub.StreamObserver;

/** NodeService: what the scheduler orders. */
public final class NodeApi extends NodeServiceGrpc.NodeServiceImplBase {
  private final Sandboxes sandboxes;

  public NodeApi(Sandboxes sandboxes) {
    this.sandboxes = sandboxes;
  }

  @Override
  public void startSandbox(
      StartSandboxRequest request, StreamObserver<StartSandboxResponse> response) {
    Started started =
        sandboxes.start(
            new StartOrder(
                request.getSandbox(),
                request.getEpoch(),
                request.getTemplate(),
                size(request.getSize()),
                request.getEnvMap(),
                request.getAttachTicket(),
                request.getCaCertificate()));
    response.onNext(
        StartSandboxResponse.newBuilder()
            .setIsolation(started.isolation().label())
            .putAllStepsMs(started.stepsMs())
            .setWay(started.way().map(NodeApi::way).orElse(StartWay.START_WAY_UNSPECIFIED))
            .build());
    response.onCompleted();
  }

  @Override
  public void removeSandbox(
      RemoveSandboxRequest request, StreamObserver<RemoveSandboxResponse> response) {
    sandboxes.remove(request.getSandbox(), request.getEpoch());
    response.onNext(RemoveSandboxResponse.getDefaultInstance());
    response.onCompleted();
  }

  private static StartWay way(dev.cofferdam.node.sandbox.StartWay way) {
    return switch (way) {
      case POOLED -> StartWay.START_WAY_POOLED;
      case RESTORED -> StartWay.START_WAY_RESTORED;
      case RESIZED -> StartWay.START_WAY_RESIZED;
      case BOOTED -> StartWay.START_WAY_BOOTED;
    };
  }

  private static MachineSize size(SandboxSize size) {
    try {
      return new MachineSize(size.getVcpus(), size.getMemoryMib(), size.getDiskMib());
    } catch (IllegalArgumentException e) {
      Refusal refusal =
          new Refusal(ErrorReason.ERROR_REASON_SIZE_OUT_OF_RANGE, String.valueOf(e.getMessage()));
      refusal.initCause(e);
      throw refusal;
    }
  }
}
