package dev.cofferdam.scheduler.relay;

import dev.cofferdam.kit.call.Caller;
import dev.cofferdam.kit.call.Callers;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.kit.relay.OpaqueRelay;
import dev.cofferdam.scheduler.cluster.Cluster;
import dev.cofferdam.scheduler.sandbox.Sandbox;
import dev.cofferdam.scheduler.sandbox.SandboxState.Ended;
import dev.cofferdam.scheduler.sandbox.SandboxState.Paused;
import dev.cofferdam.scheduler.sandbox.SandboxState.Running;
import dev.cofferdam.scheduler.sandbox.SandboxState.Starting;
import dev.cofferdam.scheduler.sandbox.SandboxState.Stopping;
import dev.cofferdam.scheduler.sandbox.SandboxState.Suspended;
import dev.cofferdam.scheduler.sandbox.Texts;
import dev.cofferdam.scheduler.store.SandboxStore;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.ForwardRequest;
import dev.cofferdam.v1.PortServiceGrpc;
import io.grpc.CallOptions;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;

/**
 * Finds the node of a stream's sandbox. The caller's scope was checked by the listener; here it is
 * held to its own sandboxes. Nothing of the call's metadata goes on, the token least of all: a node
 * has no use for it but a bad one.
 */
public final class SandboxRouter implements OpaqueRelay.Router {
  /** Of calls that are no streams: removing a large directory takes longest. */
  private static final long UNARY_TIMEOUT_S = 60;

  private final SandboxStore sandboxes;
  private final Cluster cluster;

  public SandboxRouter(SandboxStore sandboxes, Cluster cluster) {
    this.sandboxes = sandboxes;
    this.cluster = cluster;
  }

  @Override
  public OpaqueRelay.Route route(byte[] first, MethodDescriptor<?, ?> method) {
    if (Callers.current() instanceof Caller.SshSession session) {
      if (!OpaqueRelay.sandboxOf(first).equals(session.sandbox())) {
        throw new Refusal(
            ErrorReason.ERROR_REASON_TOKEN_INVALID, "the session is not for what is asked");
      }
      return route(session.tenant(), session.sandbox(), method);
    }
    if (!(Callers.current() instanceof Caller.PortKey key)) {
      return route(OpaqueRelay.sandboxOf(first), method);
    }
    // Byte for byte, so that nobody after us could read another port in it.
    byte[] only =
        ForwardRequest.newBuilder()
            .setSandbox(key.sandbox())
            .setPort(key.port())
            .build()
            .toByteArray();
    if (!method.getFullMethodName().equals(PortServiceGrpc.getForwardMethod().getFullMethodName())
        || !Arrays.equals(first, only)) {
      throw new Refusal(ErrorReason.ERROR_REASON_TOKEN_INVALID, "the key is not for what is asked");
    }
    return route(key.tenant(), key.sandbox(), method);
  }

  @Override
  public OpaqueRelay.Route route(String id, MethodDescriptor<?, ?> method) {
    return route(Callers.tenant().tenant(), id, method);
  }

  private OpaqueRelay.Route route(String tenant, String id, MethodDescriptor<?, ?> method) {
    Sandbox sandbox =
        sandboxes
            .find(tenant, id)
            .orElseThrow(() ->
                new Refusal(
                    ErrorReason.ERROR_REASON_SANDBOX_NOT_FOUND,
                    "no sandbox " + Texts.quoted(id) + " of tenant " + tenant));
    String state =
        switch (sandbox.state()) {
          // Its node wakes it, and the call waits so long.
          case Running _, Suspended _ -> "";
          case Paused _ -> "is paused";
          case Starting _ -> "is starting";
          case Stopping _ -> "is being removed";
          case Ended ended -> "has ended at " + ended.at();
        };
    if (!state.isEmpty()) {
      throw new Refusal(ErrorReason.ERROR_REASON_SANDBOX_NOT_RUNNING, id + " " + state);
    }
    return new OpaqueRelay.Route(
        cluster.link(sandbox.node()).relayed(), options(method), new Metadata());
  }

  /** A caller's own deadline goes along with the call's context and holds where it is shorter. */
  private static CallOptions options(MethodDescriptor<?, ?> method) {
    return method.getType() == MethodDescriptor.MethodType.UNARY
        ? CallOptions.DEFAULT.withDeadlineAfter(UNARY_TIMEOUT_S, TimeUnit.SECONDS)
        : CallOptions.DEFAULT;
  }
}
