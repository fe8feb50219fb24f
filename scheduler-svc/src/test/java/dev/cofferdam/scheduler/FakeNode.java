package dev.cofferdam.scheduler;

import com.google.protobuf.ByteString;
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
import dev.cofferdam.kit.call.CallRules;
import dev.cofferdam.kit.call.Callers;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.FileInfo;
import dev.cofferdam.v1.FileServiceGrpc;
import dev.cofferdam.v1.ForwardRequest;
import dev.cofferdam.v1.ForwardResponse;
import dev.cofferdam.v1.OutputChunk;
import dev.cofferdam.v1.PortServiceGrpc;
import dev.cofferdam.v1.ProcessEvent;
import dev.cofferdam.v1.ProcessExited;
import dev.cofferdam.v1.ProcessServiceGrpc;
import dev.cofferdam.v1.ReadFileRequest;
import dev.cofferdam.v1.ReadFileResponse;
import dev.cofferdam.v1.SandboxState;
import dev.cofferdam.v1.SignalProcessRequest;
import dev.cofferdam.v1.SignalProcessResponse;
import dev.cofferdam.v1.StartProcessRequest;
import dev.cofferdam.v1.StartWay;
import dev.cofferdam.v1.StatFileRequest;
import dev.cofferdam.v1.TemplateState;
import io.grpc.Context;
import io.grpc.Deadline;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Function;

/** A node whose sandboxes are entries of a map. Its process service echoes, its files are zeros. */
final class FakeNode extends NodeServiceGrpc.NodeServiceImplBase {
  static final int CHUNK = 64 << 10;

  volatile FakeBroker.Hook hook = _ -> {};
  final Map<String, Long> running = new ConcurrentHashMap<>();

  /** Of those in {@link #running} that do something else. */
  final Map<String, SandboxState> states = new ConcurrentHashMap<>();

  /** Snapshots that it keeps, by id, with the sandbox that each is of. */
  final Map<String, String> snapshots = new ConcurrentHashMap<>();

  /** What was ordered of templates, by id. */
  final Map<String, MakeTemplateRequest> templates = new ConcurrentHashMap<>();

  /** What comes of such an order. */
  volatile Function<MakeTemplateRequest, MakeTemplateResponse> making =
      _ ->
          MakeTemplateResponse.newBuilder()
              .setState(TemplateState.TEMPLATE_STATE_READY)
              .setDigest("sha256:" + "0".repeat(64))
              .build();

  /** Volumes that it keeps, by id, as they were ordered. */
  final Map<String, MakeVolumeRequest> volumes = new ConcurrentHashMap<>();

  /** How often it changed a sandbox's state. */
  final AtomicLong changes = new AtomicLong();

  final List<StartSandboxRequest> started = new CopyOnWriteArrayList<>();
  final List<String> calls = new CopyOnWriteArrayList<>();

  /** Bearer tokens that came along with relayed calls; empty where none did. */
  final List<String> tokensSeen = new CopyOnWriteArrayList<>();

  /** That unary relayed calls came with. */
  final List<Optional<Deadline>> deadlines = new CopyOnWriteArrayList<>();

  final AtomicLong bytesSent = new AtomicLong();
  final CountDownLatch heldBack = new CountDownLatch(1);

  static CallRules rules() {
    CallRules.Builder rules = CallRules.builder();
    for (var service :
        List.of(
            NodeServiceGrpc.getServiceDescriptor(),
            ProcessServiceGrpc.getServiceDescriptor(),
            FileServiceGrpc.getServiceDescriptor(),
            PortServiceGrpc.getServiceDescriptor())) {
      service.getMethods().forEach(method -> rules.peers(method, "scheduler-svc"));
    }
    return rules.build();
  }

  @Override
  public void startSandbox(
      StartSandboxRequest request, StreamObserver<StartSandboxResponse> observer) {
    calls.add("StartSandbox");
    hook.before("StartSandbox");
    if (!request.getSnapshot().isEmpty() && !snapshots.containsKey(request.getSnapshot())) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_SNAPSHOT_NOT_FOUND, "no snapshot " + request.getSnapshot());
    }
    started.add(request);
    running.put(request.getSandbox(), request.getEpoch());
    observer.onNext(
        StartSandboxResponse.newBuilder()
            .setIsolation("emulated")
            .setWay(StartWay.START_WAY_POOLED)
            .putStepsMs("claim", 1.5)
            .build());
    observer.onCompleted();
  }

  @Override
  public void removeSandbox(
      RemoveSandboxRequest request, StreamObserver<RemoveSandboxResponse> observer) {
    calls.add("RemoveSandbox");
    hook.before("RemoveSandbox");
    running.remove(request.getSandbox());
    states.remove(request.getSandbox());
    observer.onNext(RemoveSandboxResponse.getDefaultInstance());
    observer.onCompleted();
  }

  @Override
  public void setSandboxState(
      SetSandboxStateRequest request, StreamObserver<SetSandboxStateResponse> observer) {
    calls.add("SetSandboxState");
    hook.before("SetSandboxState");
    requireAssigned(request.getSandbox(), request.getEpoch());
    SandboxState before = put(request.getSandbox(), request.getState());
    if (before != request.getState()) {
      changes.incrementAndGet();
    }
    hook.before("SetSandboxState, done");
    observer.onNext(SetSandboxStateResponse.newBuilder().setChange(changes.get()).build());
    observer.onCompleted();
  }

  @Override
  public void takeSnapshot(
      TakeSnapshotRequest request, StreamObserver<TakeSnapshotResponse> observer) {
    calls.add("TakeSnapshot");
    hook.before("TakeSnapshot");
    requireAssigned(request.getSandbox(), request.getEpoch());
    snapshots.put(request.getSnapshot(), request.getSandbox());
    hook.before("TakeSnapshot, done");
    observer.onNext(TakeSnapshotResponse.newBuilder().setBytes(4096).build());
    observer.onCompleted();
  }

  @Override
  public void removeSnapshot(
      RemoveSnapshotRequest request, StreamObserver<RemoveSnapshotResponse> observer) {
    calls.add("RemoveSnapshot");
    hook.before("RemoveSnapshot");
    snapshots.remove(request.getSnapshot());
    observer.onNext(RemoveSnapshotResponse.getDefaultInstance());
    observer.onCompleted();
  }

  @Override
  public void makeTemplate(
      MakeTemplateRequest request, StreamObserver<MakeTemplateResponse> observer) {
    calls.add("MakeTemplate");
    hook.before("MakeTemplate");
    templates.put(request.getTemplate(), request);
    observer.onNext(making.apply(request));
    observer.onCompleted();
  }

  @Override
  public void removeTemplate(
      RemoveTemplateRequest request, StreamObserver<RemoveTemplateResponse> observer) {
    calls.add("RemoveTemplate " + request.getTemplate());
    hook.before("RemoveTemplate");
    templates.remove(request.getTemplate());
    observer.onNext(RemoveTemplateResponse.getDefaultInstance());
    observer.onCompleted();
  }

  @Override
  public void rollBack(RollBackRequest request, StreamObserver<RollBackResponse> observer) {
    calls.add("RollBack " + request.getSnapshot());
    hook.before("RollBack");
    requireAssigned(request.getSandbox(), request.getEpoch());
    var _ = put(request.getSandbox(), SandboxState.SANDBOX_STATE_RUNNING);
    observer.onNext(RollBackResponse.newBuilder().setChange(changes.incrementAndGet()).build());
    observer.onCompleted();
  }

  @Override
  public void makeVolume(MakeVolumeRequest request, StreamObserver<MakeVolumeResponse> observer) {
    calls.add("MakeVolume");
    hook.before("MakeVolume");
    volumes.put(request.getVolume(), request);
    hook.before("MakeVolume, done");
    observer.onNext(MakeVolumeResponse.getDefaultInstance());
    observer.onCompleted();
  }

  @Override
  public void removeVolume(
      RemoveVolumeRequest request, StreamObserver<RemoveVolumeResponse> observer) {
    calls.add("RemoveVolume");
    hook.before("RemoveVolume");
    volumes.remove(request.getVolume());
    observer.onNext(RemoveVolumeResponse.getDefaultInstance());
    observer.onCompleted();
  }

  private void requireAssigned(String sandbox, long epoch) {
    if (!Objects.equals(running.get(sandbox), epoch)) {
      throw new Refusal(ErrorReason.ERROR_REASON_STALE_EPOCH, "no such assignment of " + sandbox);
    }
  }

  SandboxState state(String sandbox) {
    return states.getOrDefault(sandbox, SandboxState.SANDBOX_STATE_RUNNING);
  }

  private SandboxState put(String sandbox, SandboxState state) {
    SandboxState before = state(sandbox);
    states.put(sandbox, state);
    return before;
  }

  /** Says back on stdout what it reads on stdin, then exits with 7. */
  final class EchoProcesses extends ProcessServiceGrpc.ProcessServiceImplBase {
    @Override
    public void signalProcess(
        SignalProcessRequest request, StreamObserver<SignalProcessResponse> observer) {
      tokensSeen.add(Callers.token());
      observer.onNext(SignalProcessResponse.getDefaultInstance());
      observer.onCompleted();
    }

    @Override
    public StreamObserver<StartProcessRequest> startProcess(StreamObserver<ProcessEvent> observer) {
      tokensSeen.add(Callers.token());
      return new StreamObserver<>() {
        @Override
        public void onNext(StartProcessRequest request) {
          if (!request.getStdin().isEmpty()) {
            observer.onNext(
                ProcessEvent.newBuilder()
                    .setStdout(OutputChunk.newBuilder().setData(request.getStdin()))
                    .build());
          }
        }

        @Override
        public void onError(Throwable thrown) {}

        @Override
        public void onCompleted() {
          observer.onNext(
              ProcessEvent.newBuilder()
                  .setExited(ProcessExited.newBuilder().setExitCode(7))
                  .build());
          observer.onCompleted();
        }
      };
    }
  }

  /** Says back what it reads. */
  final class EchoPorts extends PortServiceGrpc.PortServiceImplBase {
    @Override
    public StreamObserver<ForwardRequest> forward(StreamObserver<ForwardResponse> observer) {
      tokensSeen.add(Callers.token());
      return new StreamObserver<>() {
        @Override
        public void onNext(ForwardRequest request) {
          observer.onNext(ForwardResponse.newBuilder().setData(request.getData()).build());
        }

        @Override
        public void onError(Throwable thrown) {}

        @Override
        public void onCompleted() {
          observer.onNext(ForwardResponse.newBuilder().setEnd(true).build());
          observer.onCompleted();
        }
      };
    }
  }

  /** Sends as many zeros as were asked for, as fast as its stream takes them. */
  final class ZeroFiles extends FileServiceGrpc.FileServiceImplBase {
    @Override
    public void statFile(StatFileRequest request, StreamObserver<FileInfo> observer) {
      deadlines.add(Optional.ofNullable(Context.current().getDeadline()));
      observer.onNext(FileInfo.newBuilder().setPath(request.getPath()).build());
      observer.onCompleted();
    }

    @Override
    public void readFile(ReadFileRequest request, StreamObserver<ReadFileResponse> observer) {
      var stream = (ServerCallStreamObserver<ReadFileResponse>) observer;
      ByteString chunk = ByteString.copyFrom(new byte[CHUNK]);
      stream.setOnReadyHandler(() -> {
        while (stream.isReady() && bytesSent.get() < request.getLength()) {
          stream.onNext(
              ReadFileResponse.newBuilder().setOffset(bytesSent.get()).setData(chunk).build());
          bytesSent.addAndGet(CHUNK);
          if (bytesSent.get() >= request.getLength()) {
            stream.onCompleted();
            return;
          }
        }
        heldBack.countDown();
      });
    }
  }
}
