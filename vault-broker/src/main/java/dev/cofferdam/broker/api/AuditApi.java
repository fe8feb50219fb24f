package dev.cofferdam.broker.api;

import static dev.cofferdam.broker.api.Answers.answer;

import dev.cofferdam.broker.audit.AuditLog;
import dev.cofferdam.broker.audit.Cursor;
import dev.cofferdam.broker.proposal.Proposals;
import dev.cofferdam.broker.sql.Signal;
import dev.cofferdam.kit.call.Callers;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.AuditEventType;
import dev.cofferdam.v1.AuditServiceGrpc;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.ListAuditEventsRequest;
import dev.cofferdam.v1.ListAuditEventsResponse;
import dev.cofferdam.v1.PolicyProposal;
import dev.cofferdam.v1.ProposePolicyRequest;
import dev.cofferdam.v1.Verdict;
import dev.cofferdam.v1.WatchAuditEventsRequest;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.util.Optional;
import java.util.concurrent.ExecutorService;

/** {@code cofferdam.v1.AuditService}: a tenant's own events. */
final class AuditApi extends AuditServiceGrpc.AuditServiceImplBase {
  private static final int PAGE = 100;
  private static final int BATCH = 256;

  private final AuditLog audit;
  private final Proposals proposals;
  private final ExecutorService watchers;
  private final Watches watches;

  /**
   * @param watchers a virtual thread for each watch
   */
  AuditApi(AuditLog audit, Proposals proposals, ExecutorService watchers, Watches watches) {
    this.audit = audit;
    this.proposals = proposals;
    this.watchers = watchers;
    this.watches = watches;
  }

  @Override
  public void listAuditEvents(
      ListAuditEventsRequest request, StreamObserver<ListAuditEventsResponse> observer) {
    int size = Answers.pageSize(request.getPageSize(), PAGE);
    AuditLog.Page page =
        audit.read(
            Callers.tenant().tenant(),
            Cursor.parse(request.getCursor()),
            filter(request.getSandbox(), request.getTypeValue(), request.getVerdictValue()),
            size);
    ListAuditEventsResponse.Builder answer =
        ListAuditEventsResponse.newBuilder().addAllEvents(page.events());
    if (page.more()) {
      answer.setNextCursor(page.last().toString());
    }
    answer(observer, answer.build());
  }

  private static AuditLog.Filter filter(String sandbox, int type, int verdict) {
    if (AuditEventType.forNumber(type) == null) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT, "there is no event type %d".formatted(type));
    }
    if (Verdict.forNumber(verdict) == null) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT, "there is no verdict %d".formatted(verdict));
    }
    return new AuditLog.Filter(
        Answers.present(sandbox),
        Optional.ofNullable(type == 0 ? null : AuditEventType.forNumber(type)),
        Optional.ofNullable(verdict == 0 ? null : Verdict.forNumber(verdict)));
  }

  @Override
  public void proposePolicy(ProposePolicyRequest request, StreamObserver<PolicyProposal> observer) {
    PolicyProposal proposal;
    try {
      // Page by page in turn with the watches: whoever asks often must not take the database from
      // uses.
      proposal = proposals.propose(Callers.tenant().tenant(), request.getSandbox(), watches::read);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new Refusal(ErrorReason.ERROR_REASON_BROKER_UNAVAILABLE, "the broker stops");
    }
    answer(observer, proposal);
  }

  @Override
  public void watchAuditEvents(
      WatchAuditEventsRequest request, StreamObserver<AuditEvent> observer) {
    String tenant = Callers.tenant().tenant();
    Cursor from = Cursor.parse(request.getCursor());
    AuditLog.Filter filter =
        filter(request.getSandbox(), request.getTypeValue(), request.getVerdictValue());
    // Where the broker stops, the caller resumes at another with the last cursor.
    watches.start(
        watchers, tenant, observer, (call, ready) -> watch(call, ready, tenant, from, filter));
  }

  private void watch(
      ServerCallStreamObserver<AuditEvent> call,
      Signal ready,
      String tenant,
      Cursor from,
      AuditLog.Filter filter)
      throws InterruptedException {
    Cursor last = from;
    while (!call.isCancelled()) {
      long seen = audit.appended().seen();
      Cursor after = last;
      AuditLog.Page page = watches.read(() -> audit.read(tenant, after, filter, BATCH));
      for (AuditEvent event : page.events()) {
        Watches.awaitReady(call, ready);
        call.onNext(event);
      }
      last = page.last();
      if (!page.more()) {
        audit.appended().await(seen, Watches.LOOK);
      }
    }
  }
}
