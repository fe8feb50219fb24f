package dev.cofferdam.node.api;

import dev.cofferdam.internal.v1.MakeTemplateRequest;
import dev.cofferdam.internal.v1.MakeTemplateResponse;
import dev.cofferdam.internal.v1.MakeVolumeRequest;
import dev.cofferdam.internal.v1.MakeVolumeResponse;
import dev.cofferdam.internal.v1.NodeServiceGrpc;
import dev.cofferdam.internal.v1.RemoveSandboxRequest;
import dev.cofferdam.internal.v1.RemoveSandboxResponse;
import dev.cofferdam.internal.v1.RemoveSnapshotRequest;
import dev.cofferdam.internal.v1.RemoveSnapshotResponse;
import dev.cofferdam.internal.v1.RemoveTemplateRequest;
import dev.cofferdam.internal.v1.RemoveTemplateResponse;
import dev.cofferdam.internal.v1.RemoveVolumeRequest;
import dev.cofferdam.internal.v1.RemoveVolumeResponse;
import dev.cofferdam.internal.v1.RollBackRequest;
import dev.cofferdam.internal.v1.RollBackResponse;
import dev.cofferdam.internal.v1.SetSandboxStateRequest;
import dev.cofferdam.internal.v1.SetSandboxStateResponse;
import dev.cofferdam.internal.v1.StartSandboxRequest;
import dev.cofferdam.internal.v1.StartSandboxResponse;
import dev.cofferdam.internal.v1.TakeSnapshotRequest;
import dev.cofferdam.internal.v1.TakeSnapshotResponse;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.node.sandbox.SandboxStates;
import dev.cofferdam.node.sandbox.Sandboxes;
import dev.cofferdam.node.sandbox.StartOrder;
import dev.cofferdam.node.sandbox.Started;
import dev.cofferdam.node.volume.Volumes;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.SandboxSize;
import dev.cofferdam.v1.StartWay;
import io.grpc.Context;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/** NodeService: what the scheduler orders. */
public final class NodeApi extends NodeServiceGrpc.NodeServiceImplBase {
  private final Sandboxes sandboxes;
  private final Volumes volumes;
  private final TemplateCalls templates;

  public NodeApi(Sandboxes sandboxes, Volumes volumes, TemplateCalls templates) {
    this.sandboxes = sandboxes;
    this.volumes = volumes;
    this.templates = templates;
  }

  @Override
  public void startSandbox(
      StartSandboxRequest request, StreamObserver<StartSandboxResponse> response) {
    StartOrder order =
        new StartOrder(
            request.getSandbox(),
            request.getEpoch(),
            request.getTemplate(),
            size(request.getSize()),
            request.getEnvMap(),
            request.getAttachTicket(),
            request.getCaCertificate(),
            Optional.of(request.getSnapshot()).filter(id -> !id.isEmpty()),
            idle(request.getIdleTimeoutMs()),
            new TreeMap<>(request.getVolumesMap()),
            Optional.of(request.getDiskSource()).filter(id -> !id.isEmpty()));
    Started started = sandboxes.start(order);
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

  @Override
  public void setSandboxState(
      SetSandboxStateRequest request, StreamObserver<SetSandboxStateResponse> response) {
    SandboxStates states = sandboxes.states();
    Map<String, Double> steps =
        states.set(request.getSandbox(), request.getEpoch(), VisibleStates.of(request.getState()));
    response.onNext(
        SetSandboxStateResponse.newBuilder()
            .putAllStepsMs(steps)
            .setChange(states.change(request.getSandbox()))
            .build());
    response.onCompleted();
  }

  @Override
  public void takeSnapshot(
      TakeSnapshotRequest request, StreamObserver<TakeSnapshotResponse> response) {
    boolean full =
        switch (request.getKind()) {
          case SNAPSHOT_KIND_FULL, SNAPSHOT_KIND_UNSPECIFIED -> true;
          case SNAPSHOT_KIND_DISK -> false;
          case UNRECOGNIZED ->
              throw new Refusal(
                  ErrorReason.ERROR_REASON_INVALID_ARGUMENT,
                  "kind is " + request.getKindValue() + ", expected FULL or DISK");
        };
    SandboxStates.Taken taken =
        sandboxes
            .states()
            .take(request.getSandbox(), request.getEpoch(), request.getSnapshot(), full);
    response.onNext(
        TakeSnapshotResponse.newBuilder()
            .setBytes(taken.bytes())
            .putAllStepsMs(taken.stepsMs())
            .build());
    response.onCompleted();
  }

  @Override
  public void removeSnapshot(
      RemoveSnapshotRequest request, StreamObserver<RemoveSnapshotResponse> response) {
    sandboxes.states().removeSnapshot(request.getSnapshot());
    response.onNext(RemoveSnapshotResponse.getDefaultInstance());
    response.onCompleted();
  }

  @Override
  public void rollBack(RollBackRequest request, StreamObserver<RollBackResponse> response) {
    SandboxStates states = sandboxes.states();
    Map<String, Double> steps =
        states.rollBack(request.getSandbox(), request.getEpoch(), request.getSnapshot());
    response.onNext(
        RollBackResponse.newBuilder()
            .putAllStepsMs(steps)
            .setChange(states.change(request.getSandbox()))
            .build());
    response.onCompleted();
  }

  private static Duration idle(long millis) {
    if (millis < 0) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT,
          "idle_timeout_ms is " + Long.toUnsignedString(millis) + ", expected at most 2^63-1");
    }
    return Duration.ofMillis(millis);
  }

  @Override
  public void makeVolume(MakeVolumeRequest request, StreamObserver<MakeVolumeResponse> response) {
    Context call = Context.current();
    try {
      volumes.make(
          request.getVolume(), request.getSizeMib(), source(request), () -> !call.isCancelled());
    } catch (IOException e) {
      throw failed("volume " + request.getVolume() + " was not made", e);
    }
    response.onNext(MakeVolumeResponse.getDefaultInstance());
    response.onCompleted();
  }

  private Optional<Volumes.Source> source(MakeVolumeRequest request) {
    if (request.getSource().isEmpty()) {
      return Optional.empty();
    }
    String holder = request.getSourceSandbox();
    return Optional.of(
        holder.isEmpty()
            ? Volumes.Source.unused(request.getSource())
            : new Volumes.Source(
                request.getSource(), copy -> sandboxes.states().still(holder, copy)));
  }

  @Override
  public void removeVolume(
      RemoveVolumeRequest request, StreamObserver<RemoveVolumeResponse> response) {
    try {
      volumes.remove(request.getVolume());
    } catch (IOException e) {
      throw failed("volume " + request.getVolume() + " was not removed", e);
    }
    response.onNext(RemoveVolumeResponse.getDefaultInstance());
    response.onCompleted();
  }

  @Override
  public void makeTemplate(
      MakeTemplateRequest request, StreamObserver<MakeTemplateResponse> response) {
    response.onNext(templates.make(request));
    response.onCompleted();
  }

  @Override
  public void removeTemplate(
      RemoveTemplateRequest request, StreamObserver<RemoveTemplateResponse> response) {
    try {
      templates.remove(request);
    } catch (IOException e) {
      throw failed("template " + request.getTemplate() + " was not removed", e);
    }
    response.onNext(RemoveTemplateResponse.getDefaultInstance());
    response.onCompleted();
  }

  private static Refusal failed(String what, IOException cause) {
    Refusal refusal =
        new Refusal(ErrorReason.ERROR_REASON_INTERNAL, what + ": " + cause.getMessage());
    refusal.initCause(cause);
    return refusal;
  }

  static MachineSize size(SandboxSize size) {
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
