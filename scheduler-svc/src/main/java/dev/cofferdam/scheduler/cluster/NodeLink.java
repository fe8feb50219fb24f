package dev.cofferdam.scheduler.cluster;

import dev.cofferdam.internal.v1.NodeServiceGrpc;
import dev.cofferdam.internal.v1.RemoveSandboxRequest;
import dev.cofferdam.internal.v1.StartSandboxRequest;
import dev.cofferdam.kit.client.Guard;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.scheduler.sandbox.Isolation;
import dev.cofferdam.scheduler.sandbox.Sandbox;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.SandboxSize;
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
          ErrorReason.ERROR_REASON_SIZE_OUT_OF_RANGE,
          ErrorReason.ERROR_REASON_ENVIRONMENT_INVALID,
          ErrorReason.ERROR_REASON_NODE_UNAVAILABLE,
          ErrorReason.ERROR_REASON_GATEWAY_UNAVAILABLE,
          ErrorReason.ERROR_REASON_BROKER_UNAVAILABLE,
          ErrorReason.ERROR_REASON_SANDBOX_START_FAILED);

  private static final Duration REMOVE_TIMEOUT = Duration.ofSeconds(20);

  private final String name;
  private final ManagedChannel channel;
  private final Guard starts;

  /** Of its own: starts that fail must not keep what they left behind from being removed. */
  private final Guard removals;

  private final Channel relayed;

  NodeLink(String name, ManagedChannel channel, MeterRegistry meters) {
    this.name = name;
    this.channel = channel;
    this.starts = new Guard("node-" + name, ErrorReason.ERROR_REASON_NODE_UNAVAILABLE, meters);
    this.removals =
        new Guard("node-" + name + "-removal", ErrorReason.ERROR_REASON_NODE_UNAVAILABLE, meters);
    Guard relays =
        new Guard("node-" + name + "-relay", ErrorReason.ERROR_REASON_NODE_UNAVAILABLE, meters);
    this.relayed = ClientInterceptors.intercept(channel, relays.openings());
  }

  /** For calls that are relayed. */
  public Channel relayed() {
    return relayed;
  }

  /**
   * Returns when the guest accepts processes. Safe to repeat for one epoch.
   *
   * @param env placeholders included; kept nowhere
   * @throws Refusal or StatusRuntimeException with the reason
   */
  public Isolation start(
      Sandbox sandbox,
      Map<String, String> env,
      String attachTicket,
      String caCertificate,
      Deadline deadline) {
    StartSandboxRequest request =
        StartSandboxRequest.newBuilder()
            .setSandbox(sandbox.id())
            .setEpoch(sandbox.epoch())
            .setTemplate(sandbox.template())
            .setSize(
                SandboxSize.newBuilder()
                    .setVcpus(sandbox.size().vcpus())
                    .setMemoryMib(sandbox.size().memoryMib())
                    .setDiskMib(sandbox.size().diskMib()))
            .putAllEnv(env)
            .setAttachTicket(attachTicket)
            .setCaCertificate(caCertificate)
            .build();
    try {
      String isolation =
          detached(() ->
              starts.idempotent(() ->
                  NodeServiceGrpc.newBlockingStub(channel)
                      .withDeadline(deadline)
                      .startSandbox(request)
                      .getIsolation()));
      return isolation.isEmpty() ? sandbox.isolation() : Isolation.parse(isolation);
    } catch (StatusRuntimeException e) {
      throw failure(e);
    } catch (IllegalArgumentException e) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_SANDBOX_START_FAILED, "node " + name + ": " + e.getMessage());
    }
  }

  /** Removing what is not there succeeds. */
  public void remove(String sandbox, long epoch) {
    RemoveSandboxRequest request =
        RemoveSandboxRequest.newBuilder().setSandbox(sandbox).setEpoch(epoch).build();
    try {
      var _ =
          detached(() ->
              removals.idempotent(() ->
                  NodeServiceGrpc.newBlockingStub(channel)
                      .withDeadlineAfter(REMOVE_TIMEOUT.toMillis(), TimeUnit.MILLISECONDS)
                      .removeSandbox(request)));
    } catch (StatusRuntimeException e) {
      throw failure(e);
    }
  }

  @Override
  public void close() {
    channel.shutdownNow();
  }

  private RuntimeException failure(StatusRuntimeException e) {
    Optional<ErrorReason> reason = Refusals.reason(e);
    if (reason.filter(PASSED_ON::contains).isPresent()) {
      return e;
    }
    Status.Code code = e.getStatus().getCode();
    boolean away = code == Status.Code.UNAVAILABLE || code == Status.Code.DEADLINE_EXCEEDED;
    return new Refusal(
        away
            ? ErrorReason.ERROR_REASON_NODE_UNAVAILABLE
            : ErrorReason.ERROR_REASON_SANDBOX_START_FAILED,
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
