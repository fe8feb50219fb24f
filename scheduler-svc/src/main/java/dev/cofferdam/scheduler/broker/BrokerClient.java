package dev.cofferdam.scheduler.broker;

import dev.cofferdam.internal.v1.CreateGrantsRequest;
import dev.cofferdam.internal.v1.CreateGrantsResponse;
import dev.cofferdam.internal.v1.GetPolicyRequest;
import dev.cofferdam.internal.v1.GetPolicyResponse;
import dev.cofferdam.internal.v1.GrantOrigin;
import dev.cofferdam.internal.v1.GrantServiceGrpc;
import dev.cofferdam.internal.v1.Placeholder;
import dev.cofferdam.internal.v1.RevokeGrantsRequest;
import dev.cofferdam.internal.v1.SuspendGrantsRequest;
import dev.cofferdam.internal.v1.UpdatePolicyRequest;
import dev.cofferdam.kit.call.Callers;
import dev.cofferdam.kit.client.Guard;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.scheduler.sandbox.Sandbox;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.SecretReference;
import io.grpc.Channel;
import io.grpc.Context;
import io.grpc.Deadline;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.MetadataUtils;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/**
 * The broker as the scheduler calls it. The tenant's token goes along wherever something is
 * granted: the scheduler by itself can grant nothing. What the broker refuses is passed on as it
 * stands. Safe for use by several threads.
 */
public final class BrokerClient {
  /** The broker waits up to 5 s for its gateways. */
  private static final Duration POLICY_TIMEOUT = Duration.ofSeconds(10);

  private static final Duration REVOKE_TIMEOUT = Duration.ofSeconds(5);

  private final Channel channel;
  private final Guard grants;

  /** Of its own: what fails to be granted must not keep grants from being revoked. */
  private final Guard revocations;

  public BrokerClient(Channel channel, MeterRegistry meters) {
    this.channel = channel;
    this.grants = new Guard("broker", ErrorReason.ERROR_REASON_BROKER_UNAVAILABLE, meters);
    this.revocations =
        new Guard("broker-revocation", ErrorReason.ERROR_REASON_BROKER_UNAVAILABLE, meters);
  }

  /** Safe to repeat: the last answer is the one that counts. */
  public Grants createGrants(String token, Sandbox sandbox, Deadline deadline) {
    CreateGrantsRequest.Builder request =
        CreateGrantsRequest.newBuilder()
            .setSandbox(sandbox.id())
            .setNode(sandbox.node())
            .setEpoch(sandbox.epoch())
            .setPolicy(sandbox.policy());
    sandbox
        .secrets()
        .forEach(use ->
            request.addSecrets(
                SecretReference.newBuilder().setSecret(use.secret()).setEnv(use.env())));
    sandbox
        .origin()
        .ifPresent(origin ->
            request.setOrigin(
                GrantOrigin.newBuilder()
                    .setSandbox(origin.sandbox())
                    .setGeneration(origin.generation())));
    CreateGrantsResponse response =
        call(() ->
            grants.idempotent(
                () -> stub(token).withDeadline(deadline).createGrants(request.build())));
    Map<String, String> placeholders = new HashMap<>();
    for (Placeholder placeholder : response.getPlaceholdersList()) {
      placeholders.put(placeholder.getEnv(), placeholder.getPlaceholder());
    }
    return new Grants(
        placeholders,
        response.getAttachTicket(),
        response.getCaCertificate(),
        response.getPolicyRevision(),
        response.getGeneration());
  }

  /** Returns the revision once the gateways enforce it. */
  public long updatePolicy(String token, String sandbox, EgressPolicy policy) {
    UpdatePolicyRequest request =
        UpdatePolicyRequest.newBuilder().setSandbox(sandbox).setPolicy(policy).build();
    return call(() ->
        grants.call(() ->
            stub(token)
                .withDeadlineAfter(POLICY_TIMEOUT.toMillis(), TimeUnit.MILLISECONDS)
                .updatePolicy(request)
                .getPolicyRevision()));
  }

  /** What the broker holds to. */
  public record PolicyInForce(EgressPolicy policy, long revision) {}

  public PolicyInForce policy(String sandbox) {
    GetPolicyRequest request = GetPolicyRequest.newBuilder().setSandbox(sandbox).build();
    GetPolicyResponse response =
        call(() ->
            grants.idempotent(() ->
                GrantServiceGrpc.newBlockingStub(channel)
                    .withDeadlineAfter(POLICY_TIMEOUT.toMillis(), TimeUnit.MILLISECONDS)
                    .getPolicy(request)));
    return new PolicyInForce(response.getPolicy(), response.getPolicyRevision());
  }

  /** Ends all grants of a sandbox for good. Idempotent, also for one the broker never heard of. */
  public void revoke(String sandbox) {
    RevokeGrantsRequest request = RevokeGrantsRequest.newBuilder().setSandbox(sandbox).build();
    var _ =
        call(() ->
            revocations.idempotent(() ->
                GrantServiceGrpc.newBlockingStub(channel)
                    .withDeadlineAfter(REVOKE_TIMEOUT.toMillis(), TimeUnit.MILLISECONDS)
                    .revokeGrants(request)));
  }

  /** Puts all grants of a node's sandboxes out of use, or back. Idempotent. */
  public void suspend(String node, boolean suspended) {
    SuspendGrantsRequest request =
        SuspendGrantsRequest.newBuilder().setNode(node).setSuspended(suspended).build();
    var _ =
        call(() ->
            revocations.idempotent(() ->
                GrantServiceGrpc.newBlockingStub(channel)
                    .withDeadlineAfter(REVOKE_TIMEOUT.toMillis(), TimeUnit.MILLISECONDS)
                    .suspendGrants(request)));
  }

  private GrantServiceGrpc.GrantServiceBlockingStub stub(String token) {
    return GrantServiceGrpc.newBlockingStub(channel)
        .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(Callers.bearer(token)));
  }

  /**
   * Outside the tenant's call: what was begun is finished or undone even when the tenant leaves.
   */
  private static <T> T call(Supplier<T> call) {
    Context before = Context.ROOT.attach();
    try {
      return call.get();
    } catch (StatusRuntimeException e) {
      throw failure(e);
    } finally {
      Context.ROOT.detach(before);
    }
  }

  private static RuntimeException failure(StatusRuntimeException e) {
    Optional<ErrorReason> reason = Refusals.reason(e);
    if (reason.isPresent()
        && reason.get() != ErrorReason.ERROR_REASON_PEER_NOT_ALLOWED
        && reason.get() != ErrorReason.ERROR_REASON_INTERNAL) {
      return e;
    }
    Status.Code code = e.getStatus().getCode();
    boolean away = code == Status.Code.UNAVAILABLE || code == Status.Code.DEADLINE_EXCEEDED;
    return new Refusal(
        away ? ErrorReason.ERROR_REASON_BROKER_UNAVAILABLE : ErrorReason.ERROR_REASON_INTERNAL,
        "broker: " + e.getMessage());
  }
}
