package dev.cofferdam.scheduler.cluster;

import dev.cofferdam.internal.v1.MakeTemplateRequest;
import dev.cofferdam.internal.v1.MakeTemplateResponse;
import dev.cofferdam.internal.v1.MakeVolumeRequest;
import dev.cofferdam.internal.v1.NodeServiceGrpc;
import dev.cofferdam.internal.v1.RemoveSandboxRequest;
import dev.cofferdam.internal.v1.RemoveSnapshotRequest;
import dev.cofferdam.internal.v1.RemoveTemplateRequest;
import dev.cofferdam.internal.v1.RemoveVolumeRequest;
import dev.cofferdam.internal.v1.RollBackRequest;
import dev.cofferdam.internal.v1.SetSandboxStateRequest;
import dev.cofferdam.internal.v1.StartSandboxRequest;
import dev.cofferdam.internal.v1.StartSandboxResponse;
import dev.cofferdam.internal.v1.TakeSnapshotRequest;
import dev.cofferdam.kit.client.Guard;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.scheduler.sandbox.Activity;
import dev.cofferdam.scheduler.sandbox.Isolation;
import dev.cofferdam.scheduler.sandbox.Sandbox;
import dev.cofferdam.scheduler.sandbox.VolumeUse;
import dev.cofferdam.scheduler.snapshot.Snapshot;
import dev.cofferdam.scheduler.template.Template;
import dev.cofferdam.scheduler.volume.Volume;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.SandboxSize;
import dev.cofferdam.v1.SandboxState;
import dev.cofferdam.v1.SnapshotKind;
import dev.cofferdam.v1.StartReport;
import io.grpc.Channel;
import io.grpc.ClientInterceptors;
import io.grpc.Context;
import io.grpc.Deadline;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Duration;
import java.util.EnumSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import java.util.stream.Collectors;

/**
 * One node as it is called. Calls do not end with the tenant's call that led to them: what was
 * begun is finished or undone. Safe for use by several threads.
 */
public final class NodeLink implements AutoCloseable {
  /** What a node may answer that its tenant can act on; anything else is the node's failure. */
  private static final Set<ErrorReason> PASSED_ON =
      EnumSet.of(
          ErrorReason.ERROR_REASON_NO_CAPACITY,
          ErrorReason.ERROR_REASON_TEMPLATE_NOT_FOUND,
          ErrorReason.ERROR_REASON_IMAGE_INVALID,
          ErrorReason.ERROR_REASON_SIZE_OUT_OF_RANGE,
          ErrorReason.ERROR_REASON_ENVIRONMENT_INVALID,
          ErrorReason.ERROR_REASON_NODE_UNAVAILABLE,
          ErrorReason.ERROR_REASON_GATEWAY_UNAVAILABLE,
          ErrorReason.ERROR_REASON_BROKER_UNAVAILABLE,
          ErrorReason.ERROR_REASON_SANDBOX_START_FAILED,
          ErrorReason.ERROR_REASON_SANDBOX_NOT_RUNNING,
          ErrorReason.ERROR_REASON_SNAPSHOT_NOT_FOUND,
          ErrorReason.ERROR_REASON_SNAPSHOT_UNUSABLE,
          ErrorReason.ERROR_REASON_SNAPSHOT_IN_USE,
          ErrorReason.ERROR_REASON_DISK_FULL,
          ErrorReason.ERROR_REASON_MACHINE_FAILED);

  /** Of a pause, a suspension or a resumption: memory of many GiB may have to go through a disk. */
  public static final Duration CHANGE_TIMEOUT = Duration.ofMinutes(2);

  /** Of a snapshot or a volume, for the same reason. */
  public static final Duration SNAPSHOT_TIMEOUT = Duration.ofMinutes(5);

  /** Of one wait for a template; the node answers earlier. */
  private static final Duration TEMPLATE_TIMEOUT = Duration.ofSeconds(60);

  private static final Duration REMOVE_TIMEOUT = Duration.ofSeconds(20);

  private final String name;
  private final ManagedChannel channel;
  private final Guard starts;

  /** Of its own: starts that fail must not keep what they left behind from being removed. */
  private final Guard removals;

  private final Guard changes;
  private final Channel relayed;

  NodeLink(String name, ManagedChannel channel, MeterRegistry meters) {
    this.name = name;
    this.channel = channel;
    this.starts = new Guard("node-" + name, ErrorReason.ERROR_REASON_NODE_UNAVAILABLE, meters);
    this.removals =
        new Guard("node-" + name + "-removal", ErrorReason.ERROR_REASON_NODE_UNAVAILABLE, meters);
    this.changes =
        new Guard("node-" + name + "-change", ErrorReason.ERROR_REASON_NODE_UNAVAILABLE, meters);
    Guard relays =
        new Guard("node-" + name + "-relay", ErrorReason.ERROR_REASON_NODE_UNAVAILABLE, meters);
    this.relayed = ClientInterceptors.intercept(channel, relays.openings());
  }

  /** For calls that are relayed. */
  public Channel relayed() {
    return relayed;
  }

  /**
   * What came of a start.
   *
   * @param report its duration is that of the call
   */
  public record Answer(Isolation isolation, StartReport report) {}

  /**
   * Returns when the guest accepts processes. Safe to repeat for one epoch.
   *
   * @param template as nodes know it
   * @param env placeholders included; kept nowhere
   * @param snapshot of this node, to be made from; empty: the template
   * @throws Refusal or StatusRuntimeException with the reason
   */
  public Answer start(
      Sandbox sandbox,
      String template,
      Map<String, String> env,
      String attachTicket,
      String caCertificate,
      String snapshot,
      String diskSource,
      Deadline deadline) {
    StartSandboxRequest request =
        StartSandboxRequest.newBuilder()
            .setSandbox(sandbox.id())
            .setEpoch(sandbox.epoch())
            .setTemplate(template)
            .setSize(size(sandbox.size()))
            .putAllEnv(env)
            .setIdleTimeoutMs(sandbox.lifetime().idleTimeout().map(Duration::toMillis).orElse(0L))
            .setAttachTicket(attachTicket)
            .setCaCertificate(caCertificate)
            .setSnapshot(snapshot)
            .setDiskSource(diskSource)
            .putAllVolumes(
                sandbox.volumes().stream()
                    .collect(Collectors.toMap(VolumeUse::directory, VolumeUse::id)))
            .build();
    try {
      long begin = System.nanoTime();
      StartSandboxResponse response =
          detached(() ->
              starts.idempotent(() ->
                  NodeServiceGrpc.newBlockingStub(channel)
                      .withDeadline(deadline)
                      .startSandbox(request)));
      Duration took = Duration.ofNanos(System.nanoTime() - begin);
      return new Answer(
          response.getIsolation().isEmpty()
              ? sandbox.isolation()
              : Isolation.parse(response.getIsolation()),
          StartReport.newBuilder()
              .setWay(response.getWay())
              .setDuration(
                  com.google.protobuf.Duration.newBuilder()
                      .setSeconds(took.toSeconds())
                      .setNanos(took.toNanosPart()))
              .putAllStepsMs(response.getStepsMsMap())
              .build());
    } catch (StatusRuntimeException e) {
      throw failure(e, ErrorReason.ERROR_REASON_SANDBOX_START_FAILED);
    } catch (IllegalArgumentException e) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_SANDBOX_START_FAILED, "node " + name + ": " + e.getMessage());
    }
  }

  /** Removing what is not there succeeds. */
  public void remove(String sandbox, long epoch) {
    RemoveSandboxRequest request =
        RemoveSandboxRequest.newBuilder().setSandbox(sandbox).setEpoch(epoch).build();
    var _ = changed(() -> removals.idempotent(() -> stub(REMOVE_TIMEOUT).removeSandbox(request)));
  }

  /**
   * Returns when it is so. Safe to repeat.
   *
   * @return the node's count of the sandbox's changes; 0 where it does not count
   * @throws Refusal NODE_UNAVAILABLE when there was no answer: it may have come about, or still do;
   *     else Refusal or StatusRuntimeException with the reason
   */
  public long setState(Sandbox sandbox, Activity activity) {
    SetSandboxStateRequest request =
        SetSandboxStateRequest.newBuilder()
            .setSandbox(sandbox.id())
            .setEpoch(sandbox.epoch())
            .setState(
                switch (activity) {
                  case RUNNING -> SandboxState.SANDBOX_STATE_RUNNING;
                  case PAUSED -> SandboxState.SANDBOX_STATE_PAUSED;
                  case SUSPENDED -> SandboxState.SANDBOX_STATE_SUSPENDED;
                })
            .build();
    return changed(
        () -> changes.idempotent(() -> stub(CHANGE_TIMEOUT).setSandboxState(request).getChange()));
  }

  /**
   * In place. Not safe to repeat: what was done in between would be lost.
   *
   * @return as {@link #setState}
   */
  public long rollBack(Sandbox sandbox, String snapshot) {
    RollBackRequest request =
        RollBackRequest.newBuilder()
            .setSandbox(sandbox.id())
            .setEpoch(sandbox.epoch())
            .setSnapshot(snapshot)
            .build();
    return changed(() -> changes.call(() -> stub(CHANGE_TIMEOUT).rollBack(request).getChange()));
  }

  /**
   * Returns when it is durable. Safe to repeat for one id.
   *
   * @return bytes on the node's disk
   */
  public long takeSnapshot(Sandbox sandbox, Snapshot snapshot) {
    TakeSnapshotRequest request =
        TakeSnapshotRequest.newBuilder()
            .setSandbox(sandbox.id())
            .setEpoch(sandbox.epoch())
            .setSnapshot(snapshot.id())
            .setKind(
                switch (snapshot.kind()) {
                  case FULL -> SnapshotKind.SNAPSHOT_KIND_FULL;
                  case DISK -> SnapshotKind.SNAPSHOT_KIND_DISK;
                })
            .build();
    return changed(
        () -> changes.idempotent(() -> stub(SNAPSHOT_TIMEOUT).takeSnapshot(request).getBytes()));
  }

  /** Removing what is not there succeeds. */
  public void removeSnapshot(String snapshot) {
    RemoveSnapshotRequest request =
        RemoveSnapshotRequest.newBuilder().setSnapshot(snapshot).build();
    var _ = changed(() -> removals.idempotent(() -> stub(REMOVE_TIMEOUT).removeSnapshot(request)));
  }

  /** Begins to make it or waits a while for its end. Safe to repeat. */
  public MakeTemplateResponse makeTemplate(Template template) {
    MakeTemplateRequest request =
        MakeTemplateRequest.newBuilder()
            .setTemplate(template.id())
            .setSource(template.source())
            .setDefaultSize(size(template.size()))
            .setBuilder(template.builder())
            .setTenant(template.tenant())
            .build();
    return changed(() -> changes.idempotent(() -> stub(TEMPLATE_TIMEOUT).makeTemplate(request)));
  }

  /** Removing what is not there succeeds. */
  public void removeTemplate(String template) {
    RemoveTemplateRequest request =
        RemoveTemplateRequest.newBuilder().setTemplate(template).build();
    var _ = changed(() -> removals.idempotent(() -> stub(REMOVE_TIMEOUT).removeTemplate(request)));
  }

  private static SandboxSize size(dev.cofferdam.scheduler.sandbox.SandboxSize size) {
    return SandboxSize.newBuilder()
        .setVcpus(size.vcpus())
        .setMemoryMib(size.memoryMib())
        .setDiskMib(size.diskMib())
        .build();
  }

  /**
   * Returns when it is durable. Safe to repeat for one id.
   *
   * @param holder of its source, which stands still while it is copied
   */
  public void makeVolume(Volume volume, Optional<Sandbox> holder) {
    MakeVolumeRequest.Builder request =
        MakeVolumeRequest.newBuilder()
            .setVolume(volume.id())
            .setSizeMib(volume.sizeMib())
            .setSource(volume.source().map(Volume.Source::id).orElse(""));
    holder.ifPresent(sandbox -> request.setSourceSandbox(sandbox.id()));
    var _ =
        changed(
            ErrorReason.ERROR_REASON_INTERNAL,
            () -> changes.idempotent(() -> stub(SNAPSHOT_TIMEOUT).makeVolume(request.build())));
  }

  /** Removing what is not there succeeds. */
  public void removeVolume(String volume) {
    RemoveVolumeRequest request = RemoveVolumeRequest.newBuilder().setVolume(volume).build();
    var _ =
        changed(
            ErrorReason.ERROR_REASON_INTERNAL,
            () -> removals.idempotent(() -> stub(REMOVE_TIMEOUT).removeVolume(request)));
  }

  private NodeServiceGrpc.NodeServiceBlockingStub stub(Duration timeout) {
    return NodeServiceGrpc.newBlockingStub(channel)
        .withDeadlineAfter(timeout.toMillis(), TimeUnit.MILLISECONDS);
  }

  private <T> T changed(Supplier<T> call) {
    return changed(ErrorReason.ERROR_REASON_MACHINE_FAILED, call);
  }

  /**
   * @param otherwise as {@link #failure}
   */
  private <T> T changed(ErrorReason otherwise, Supplier<T> call) {
    try {
      return detached(call);
    } catch (StatusRuntimeException e) {
      throw failure(e, otherwise);
    }
  }

  @Override
  public void close() {
    channel.shutdownNow();
  }

  /**
   * @param otherwise of what is neither passed on nor says that the node is away
   */
  private RuntimeException failure(StatusRuntimeException e, ErrorReason otherwise) {
    Optional<ErrorReason> reason = Refusals.reason(e);
    if (reason.filter(PASSED_ON::contains).isPresent()) {
      return e;
    }
    Status.Code code = e.getStatus().getCode();
    boolean away = code == Status.Code.UNAVAILABLE || code == Status.Code.DEADLINE_EXCEEDED;
    return new Refusal(
        away ? ErrorReason.ERROR_REASON_NODE_UNAVAILABLE : otherwise,
        "node %s: %s".formatted(name, e.getMessage()));
  }

  private static <T> T detached(Supplier<T> call) {
    Context before = Context.ROOT.attach();
    try {
      return call.get();
    } finally {
      Context.ROOT.detach(before);
    }
  }
}
