package dev.cofferdam.broker.api;

import dev.cofferdam.broker.audit.Reports;
import dev.cofferdam.broker.grant.Approvals;
import dev.cofferdam.broker.grant.Attachments;
import dev.cofferdam.broker.grant.Grants;
import dev.cofferdam.broker.grant.Materialiser;
import dev.cofferdam.broker.grant.NewGrants;
import dev.cofferdam.broker.grant.Nodes;
import dev.cofferdam.broker.grant.Redemption;
import dev.cofferdam.internal.v1.AttachmentServiceGrpc;
import dev.cofferdam.internal.v1.DropReportServiceGrpc;
import dev.cofferdam.internal.v1.GrantServiceGrpc;
import dev.cofferdam.kit.call.CallRules;
import dev.cofferdam.kit.call.TokenVerifier;
import dev.cofferdam.kit.server.RpcServer;
import java.time.Duration;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * What the mesh listener serves, and to whom. Nothing here writes a secret or widens a binding: the
 * service that does is on the other listener alone.
 */
public final class MeshApi implements AutoCloseable {
  private static final String SCHEDULER = "scheduler-svc";
  private static final String GATEWAY = "egress-gateway";
  private static final String NODE = "node-agent";

  private final ExecutorService streams = Executors.newVirtualThreadPerTaskExecutor();
  private final GrantApi grants;
  private final AttachmentApi attachments;
  private final DropReportApi drops;

  /**
   * @param policyLease how long a gateway may act on what it acknowledged last
   * @param learn whether a policy may be in mode LEARN
   */
  public MeshApi(
      NewGrants newGrants,
      Grants grants,
      Nodes nodes,
      Redemption redemption,
      Attachments attachments,
      Materialiser materialiser,
      Approvals approvals,
      Reports reports,
      TokenVerifier tokens,
      Duration policyLease,
      boolean learn) {
    this.grants = new GrantApi(newGrants, grants, nodes, attachments, tokens, learn);
    this.attachments =
        new AttachmentApi(
            redemption, attachments, materialiser, approvals, reports, policyLease, streams);
    this.drops = new DropReportApi(reports);
  }

  public RpcServer.Builder serve(RpcServer.Builder listener) {
    return listener.service(grants).service(attachments.definition()).service(drops).rules(rules());
  }

  @Override
  public void close() {
    streams.shutdownNow();
  }

  private static CallRules rules() {
    return CallRules.builder()
        .peers(GrantServiceGrpc.getCreateGrantsMethod(), SCHEDULER)
        .peers(GrantServiceGrpc.getUpdatePolicyMethod(), SCHEDULER)
        .peers(GrantServiceGrpc.getGetPolicyMethod(), SCHEDULER)
        .peers(GrantServiceGrpc.getIssueTicketMethod(), SCHEDULER)
        .peers(GrantServiceGrpc.getSuspendGrantsMethod(), SCHEDULER)
        .peers(GrantServiceGrpc.getRevokeGrantsMethod(), SCHEDULER)
        .peers(AttachmentServiceGrpc.getRedeemTicketMethod(), GATEWAY)
        .peers(AttachmentServiceGrpc.getSyncAttachmentsMethod(), GATEWAY)
        .peers(AttachmentServiceGrpc.getDetachMethod(), GATEWAY)
        .peers(AttachmentServiceGrpc.getIssueCertificateMethod(), GATEWAY)
        .peers(AttachmentServiceGrpc.getMaterializeMethod(), GATEWAY)
        .peers(AttachmentServiceGrpc.getAwaitApprovalMethod(), GATEWAY)
        .peers(AttachmentServiceGrpc.getReportDecisionsMethod(), GATEWAY)
        .peers(DropReportServiceGrpc.getReportDropsMethod(), NODE)
        .build();
  }
}
