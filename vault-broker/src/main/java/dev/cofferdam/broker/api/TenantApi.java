package dev.cofferdam.broker.api;

import dev.cofferdam.broker.audit.AuditLog;
import dev.cofferdam.broker.catalog.Secrets;
import dev.cofferdam.broker.grant.Approvals;
import dev.cofferdam.broker.grant.Sessions;
import dev.cofferdam.broker.proposal.Proposals;
import dev.cofferdam.broker.tenant.Token;
import dev.cofferdam.broker.tenant.Tokens;
import dev.cofferdam.kit.call.CallRules;
import dev.cofferdam.kit.server.RpcServer;
import dev.cofferdam.v1.ApprovalServiceGrpc;
import dev.cofferdam.v1.AuditServiceGrpc;
import dev.cofferdam.v1.EgressSessionServiceGrpc;
import dev.cofferdam.v1.SecretServiceGrpc;
import dev.cofferdam.v1.TokenServiceGrpc;
import io.grpc.ServerInterceptors;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** What the tenants' listener serves, and to whom. */
public final class TenantApi implements AutoCloseable {
  private static final String OPERATOR = "operator";
  private static final int WATCHES_PER_TENANT = 32;

  private final ExecutorService watches = Executors.newVirtualThreadPerTaskExecutor();
  private final SecretApi secrets;
  private final AuditApi audit;
  private final ApprovalApi approvals;
  private final TokenApi tokens;
  private final EgressSessionApi sessions;
  private final NotThroughTheMesh notThroughTheMesh;

  /**
   * @param watchReaders how many watches may read the database at once
   */
  public TenantApi(
      Secrets secrets,
      Sessions sessions,
      AuditLog audit,
      Proposals proposals,
      Approvals approvals,
      Tokens tokens,
      String trustDomain,
      int watchReaders) {
    this.secrets = new SecretApi(secrets);
    this.audit =
        new AuditApi(audit, proposals, watches, new Watches(WATCHES_PER_TENANT, watchReaders));
    this.approvals =
        new ApprovalApi(approvals, watches, new Watches(WATCHES_PER_TENANT, watchReaders));
    this.tokens = new TokenApi(tokens);
    this.sessions = new EgressSessionApi(sessions);
    this.notThroughTheMesh = new NotThroughTheMesh(trustDomain);
  }

  public RpcServer.Builder serve(RpcServer.Builder listener) {
    return listener
        .service(ServerInterceptors.intercept(secrets.definition(), notThroughTheMesh))
        .service(ServerInterceptors.intercept(approvals.bindService(), notThroughTheMesh))
        .service(ServerInterceptors.intercept(sessions, notThroughTheMesh))
        .service(audit)
        .service(tokens)
        .rules(rules());
  }

  @Override
  public void close() {
    watches.shutdownNow();
  }

  private static CallRules rules() {
    return CallRules.builder()
        .tenant(SecretServiceGrpc.getPutSecretMethod(), Token.SECRETS_WRITE)
        .tenant(SecretServiceGrpc.getRotateSecretMethod(), Token.SECRETS_WRITE)
        .tenant(SecretServiceGrpc.getNarrowSecretMethod(), Token.SECRETS_WRITE)
        .tenant(SecretServiceGrpc.getDeleteSecretMethod(), Token.SECRETS_WRITE)
        .tenant(SecretServiceGrpc.getListSecretsMethod(), Token.SECRETS_READ)
        .tenant(EgressSessionServiceGrpc.getCreateEgressSessionMethod(), Token.SANDBOXES_WRITE)
        .tenant(EgressSessionServiceGrpc.getExtendEgressSessionMethod(), Token.SANDBOXES_WRITE)
        .tenant(EgressSessionServiceGrpc.getDeleteEgressSessionMethod(), Token.SANDBOXES_WRITE)
        .tenant(AuditServiceGrpc.getListAuditEventsMethod(), Token.AUDIT_READ)
        .tenant(AuditServiceGrpc.getWatchAuditEventsMethod(), Token.AUDIT_READ)
        .tenant(AuditServiceGrpc.getProposePolicyMethod(), Token.AUDIT_READ)
        .tenant(ApprovalServiceGrpc.getListApprovalsMethod(), Token.APPROVALS)
        .tenant(ApprovalServiceGrpc.getWatchApprovalsMethod(), Token.APPROVALS)
        .tenant(ApprovalServiceGrpc.getAnswerApprovalMethod(), Token.APPROVALS)
        .peers(TokenServiceGrpc.getRegisterTokenMethod(), OPERATOR)
        .peers(TokenServiceGrpc.getListTokensMethod(), OPERATOR)
        .peers(TokenServiceGrpc.getRemoveTokenMethod(), OPERATOR)
        .build();
  }
}
