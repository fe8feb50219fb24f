package dev.cofferdam.broker.api;

import static dev.cofferdam.broker.api.Answers.answer;

import dev.cofferdam.broker.grant.Attachments;
import dev.cofferdam.broker.grant.Granted;
import dev.cofferdam.broker.grant.Grants;
import dev.cofferdam.broker.grant.NewGrants;
import dev.cofferdam.broker.grant.Nodes;
import dev.cofferdam.broker.grant.SandboxGrants;
import dev.cofferdam.broker.tenant.Token;
import dev.cofferdam.internal.v1.CreateGrantsRequest;
import dev.cofferdam.internal.v1.CreateGrantsResponse;
import dev.cofferdam.internal.v1.GetPolicyRequest;
import dev.cofferdam.internal.v1.GetPolicyResponse;
import dev.cofferdam.internal.v1.GrantServiceGrpc;
import dev.cofferdam.internal.v1.IssueTicketRequest;
import dev.cofferdam.internal.v1.IssueTicketResponse;
import dev.cofferdam.internal.v1.Placeholder;
import dev.cofferdam.internal.v1.RevokeGrantsRequest;
import dev.cofferdam.internal.v1.RevokeGrantsResponse;
import dev.cofferdam.internal.v1.SuspendGrantsRequest;
import dev.cofferdam.internal.v1.SuspendGrantsResponse;
import dev.cofferdam.internal.v1.UpdatePolicyRequest;
import dev.cofferdam.internal.v1.UpdatePolicyResponse;
import dev.cofferdam.kit.call.Caller;
import dev.cofferdam.kit.call.Callers;
import dev.cofferdam.kit.call.TokenVerifier;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.PolicyMode;
import io.grpc.stub.StreamObserver;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/** {@code cofferdam.internal.v1.GrantService}, for the scheduler with its caller's token. */
final class GrantApi extends GrantServiceGrpc.GrantServiceImplBase {
  private static final Duration ACKNOWLEDGE = Duration.ofSeconds(5);

  private final NewGrants newGrants;
  private final Grants grants;
  private final Nodes nodes;
  private final Attachments attachments;
  private final TokenVerifier tokens;
  private final boolean learn;

  GrantApi(
      NewGrants newGrants,
      Grants grants,
      Nodes nodes,
      Attachments attachments,
      TokenVerifier tokens,
      boolean learn) {
    this.newGrants = newGrants;
    this.grants = grants;
    this.nodes = nodes;
    this.attachments = attachments;
    this.tokens = tokens;
    this.learn = learn;
  }

  /**
   * @throws Refusal LEARN_FORBIDDEN
   */
  private void checkMode(EgressPolicy policy) {
    if (policy.getMode() == PolicyMode.POLICY_MODE_LEARN && !learn) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_LEARN_FORBIDDEN,
          "the operator lets no sandbox learn, expected the mode ENFORCE");
    }
  }

  @Override
  public void createGrants(
      CreateGrantsRequest request, StreamObserver<CreateGrantsResponse> observer) {
    Caller.Tenant tenant = tenant(Token.SANDBOXES_WRITE);
    if (request.getSecretsCount() > 0) {
      require(tenant, Token.SECRETS_USE);
    }
    SandboxGrants.checkNoSession(request.getSandbox());
    SandboxGrants wanted =
        new SandboxGrants(
            request.getSandbox(),
            request.getNode(),
            request.getEpoch(),
            request.getSecretsList().stream().map(SandboxGrants.Wish::of).toList(),
            request.hasOrigin()
                ? Optional.of(
                    new SandboxGrants.Origin(
                        request.getOrigin().getSandbox(), request.getOrigin().getGeneration()))
                : Optional.empty());
    checkMode(request.getPolicy());
    Granted granted = newGrants.create(tenant.tenant(), wanted, request.getPolicy());
    CreateGrantsResponse.Builder answer =
        CreateGrantsResponse.newBuilder()
            .setAttachTicket(granted.ticket())
            .setCaCertificate(granted.rootCertificate())
            .setPolicyRevision(granted.policyRevision())
            .setGeneration(granted.generation());
    granted
        .placeholders()
        .forEach((env, placeholder) ->
            answer.addPlaceholders(
                Placeholder.newBuilder().setEnv(env).setPlaceholder(placeholder)));
    answer(observer, answer.build());
  }

  @Override
  public void updatePolicy(
      UpdatePolicyRequest request, StreamObserver<UpdatePolicyResponse> observer) {
    Caller.Tenant tenant = tenant(Token.SANDBOXES_WRITE);
    checkMode(request.getPolicy());
    Grants.Revision revision =
        grants.updatePolicy(tenant.tenant(), request.getSandbox(), request.getPolicy());
    List<String> missing;
    try {
      missing =
          attachments.awaitAcknowledged(request.getSandbox(), revision.sequences(), ACKNOWLEDGE);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      missing = List.copyOf(revision.sequences().keySet());
    }
    if (!missing.isEmpty()) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_GATEWAY_UNAVAILABLE,
          "revision %d stands, but %s did not acknowledge it within %d s"
              .formatted(revision.number(), missing, ACKNOWLEDGE.toSeconds()));
    }
    answer(
        observer, UpdatePolicyResponse.newBuilder().setPolicyRevision(revision.number()).build());
  }

  @Override
  public void getPolicy(GetPolicyRequest request, StreamObserver<GetPolicyResponse> observer) {
    Grants.InForce inForce = grants.policy(request.getSandbox());
    answer(
        observer,
        GetPolicyResponse.newBuilder()
            .setPolicy(inForce.policy())
            .setPolicyRevision(inForce.revision())
            .build());
  }

  @Override
  public void issueTicket(
      IssueTicketRequest request, StreamObserver<IssueTicketResponse> observer) {
    answer(
        observer,
        IssueTicketResponse.newBuilder()
            .setAttachTicket(
                grants.issueTicket(request.getSandbox(), request.getNode(), request.getEpoch()))
            .build());
  }

  @Override
  public void suspendGrants(
      SuspendGrantsRequest request, StreamObserver<SuspendGrantsResponse> observer) {
    int sandboxes = nodes.suspend(request.getNode(), request.getSuspended());
    answer(observer, SuspendGrantsResponse.newBuilder().setSandboxes(sandboxes).build());
  }

  @Override
  public void revokeGrants(
      RevokeGrantsRequest request, StreamObserver<RevokeGrantsResponse> observer) {
    grants.revoke(request.getSandbox());
    answer(observer, RevokeGrantsResponse.getDefaultInstance());
  }

  /** The tenant whose token came along. */
  private Caller.Tenant tenant(String scope) {
    if (Callers.token().isEmpty()) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_TOKEN_MISSING, "the tenant's own token has to come along");
    }
    Caller.Tenant tenant =
        tokens
            .verify(Callers.token())
            .orElseThrow(() ->
                new Refusal(
                    ErrorReason.ERROR_REASON_TOKEN_INVALID,
                    "the token is not known to the broker"));
    if (tenant.scopes().contains(Token.SECRETS_WRITE)
        || tenant.scopes().contains(Token.APPROVALS)) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_THROUGH_SCHEDULER,
          "token %s may write secrets or answer for requests, and must never be sent to the scheduler: replace it"
              .formatted(tenant.tokenId()));
    }
    require(tenant, scope);
    return tenant;
  }

  private static void require(Caller.Tenant tenant, String scope) {
    if (!tenant.scopes().contains(scope)) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_SCOPE_MISSING,
          "this needs the scope %s; token %s has %s"
              .formatted(scope, tenant.tokenId(), tenant.scopes().stream().sorted().toList()));
    }
  }
}
