package dev.cofferdam.edge.mesh;

import dev.cofferdam.kit.client.TwoWayCall;
import dev.cofferdam.v1.FileServiceGrpc;
import dev.cofferdam.v1.ForwardRequest;
import dev.cofferdam.v1.ForwardResponse;
import dev.cofferdam.v1.OpenFileRequest;
import dev.cofferdam.v1.OpenFileResponse;
import dev.cofferdam.v1.PortKeyServiceGrpc;
import dev.cofferdam.v1.PortServiceGrpc;
import dev.cofferdam.v1.ProcessEvent;
import dev.cofferdam.v1.ProcessServiceGrpc;
import dev.cofferdam.v1.SandboxServiceGrpc;
import dev.cofferdam.v1.SnapshotServiceGrpc;
import dev.cofferdam.v1.SshKeyServiceGrpc;
import dev.cofferdam.v1.StartProcessRequest;
import dev.cofferdam.v1.VolumeServiceGrpc;
import dev.cofferdam.v1.WriteFileRequest;
import dev.cofferdam.v1.WriteFileResponse;
import io.grpc.CallOptions;
import io.grpc.Channel;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/**
 * The mesh as one caller may use it.
 *
 * @param secrets the broker, with the token that may write secrets; empty where the caller has none
 */
public record Tenant(Channel api, Optional<Channel> secrets) {
  /** A create may wait for a boot. */
  private static final long CREATE_SECONDS = 120;

  private static final long CALL_SECONDS = 60;

  public SandboxServiceGrpc.SandboxServiceBlockingV2Stub creating() {
    return SandboxServiceGrpc.newBlockingV2Stub(api)
        .withDeadlineAfter(CREATE_SECONDS, TimeUnit.SECONDS);
  }

  public SandboxServiceGrpc.SandboxServiceBlockingV2Stub sandboxes() {
    return SandboxServiceGrpc.newBlockingV2Stub(api)
        .withDeadlineAfter(CALL_SECONDS, TimeUnit.SECONDS);
  }

  public VolumeServiceGrpc.VolumeServiceBlockingV2Stub volumes() {
    return VolumeServiceGrpc.newBlockingV2Stub(api)
        .withDeadlineAfter(CREATE_SECONDS, TimeUnit.SECONDS);
  }

  public SnapshotServiceGrpc.SnapshotServiceBlockingV2Stub snapshots() {
    return SnapshotServiceGrpc.newBlockingV2Stub(api)
        .withDeadlineAfter(CALL_SECONDS, TimeUnit.SECONDS);
  }

  public PortKeyServiceGrpc.PortKeyServiceBlockingV2Stub portKeys() {
    return PortKeyServiceGrpc.newBlockingV2Stub(api)
        .withDeadlineAfter(CALL_SECONDS, TimeUnit.SECONDS);
  }

  public SshKeyServiceGrpc.SshKeyServiceBlockingV2Stub sshKeys() {
    return SshKeyServiceGrpc.newBlockingV2Stub(api)
        .withDeadlineAfter(CALL_SECONDS, TimeUnit.SECONDS);
  }

  /** For streams that last as long as a session. */
  public SandboxServiceGrpc.SandboxServiceBlockingV2Stub watching() {
    return SandboxServiceGrpc.newBlockingV2Stub(api);
  }

  public ProcessServiceGrpc.ProcessServiceBlockingV2Stub processes() {
    return ProcessServiceGrpc.newBlockingV2Stub(api)
        .withDeadlineAfter(CALL_SECONDS, TimeUnit.SECONDS);
  }

  /** A process runs as long as it likes; the session's end cancels it. */
  public TwoWayCall<StartProcessRequest, ProcessEvent> startProcess() {
    return TwoWayCall.start(api, ProcessServiceGrpc.getStartProcessMethod(), CallOptions.DEFAULT);
  }

  public FileServiceGrpc.FileServiceBlockingV2Stub files() {
    return FileServiceGrpc.newBlockingV2Stub(api).withDeadlineAfter(CALL_SECONDS, TimeUnit.SECONDS);
  }

  /** A large file takes its time; the session's end cancels it. */
  public FileServiceGrpc.FileServiceBlockingV2Stub largeFiles() {
    return FileServiceGrpc.newBlockingV2Stub(api);
  }

  /** A file stays open as long as its client likes; the session's end cancels it. */
  public TwoWayCall<OpenFileRequest, OpenFileResponse> openFile() {
    return TwoWayCall.start(api, FileServiceGrpc.getOpenFileMethod(), CallOptions.DEFAULT);
  }

  /** A connection to a port lasts as long as both sides like; the exchange's end cancels it. */
  public TwoWayCall<ForwardRequest, ForwardResponse> forward() {
    return TwoWayCall.start(api, PortServiceGrpc.getForwardMethod(), CallOptions.DEFAULT);
  }

  /** Likewise. */
  public TwoWayCall<WriteFileRequest, WriteFileResponse> writeFile() {
    return TwoWayCall.start(api, FileServiceGrpc.getWriteFileMethod(), CallOptions.DEFAULT);
  }
}
