package dev.cofferdam.broker.api;

import static dev.cofferdam.broker.api.Answers.answer;

import dev.cofferdam.broker.grant.Approvals;
import dev.cofferdam.broker.sql.Signal;
import dev.cofferdam.kit.call.Caller;
import dev.cofferdam.kit.call.Callers;
import dev.cofferdam.v1.AnswerApprovalRequest;
import dev.cofferdam.v1.Approval;
import dev.cofferdam.v1.ApprovalServiceGrpc;
import dev.cofferdam.v1.ListApprovalsRequest;
import dev.cofferdam.v1.ListApprovalsResponse;
import dev.cofferdam.v1.WatchApprovalsRequest;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutorService;

/** {@code cofferdam.v1.ApprovalService}: who answers for a tenant's requests. */
final class ApprovalApi extends ApprovalServiceGrpc.ApprovalServiceImplBase {
  private final Approvals approvals;
  private final ExecutorService watchers;
  private final Watches watches;

  /**
   * @param watchers a virtual thread for each watch
   */
  ApprovalApi(Approvals approvals, ExecutorService watchers, Watches watches) {
    this.approvals = approvals;
    this.watchers = watchers;
    this.watches = watches;
  }

  @Override
  public void listApprovals(
      ListApprovalsRequest request, StreamObserver<ListApprovalsResponse> observer) {
    answer(
        observer,
        ListApprovalsResponse.newBuilder()
            .addAllApprovals(
                approvals.waiting(Callers.tenant().tenant(), Answers.present(request.getSandbox())))
            .build());
  }

  @Override
  public void answerApproval(AnswerApprovalRequest request, StreamObserver<Approval> observer) {
    Caller.Tenant tenant = Callers.tenant();
    answer(
        observer,
        approvals.answer(
            tenant.tenant(),
            tenant.tokenId(),
            request.getApproval(),
            request.getApprove(),
            Duration.ofSeconds(
                request.getRemember().getSeconds(), request.getRemember().getNanos())));
  }

  @Override
  public void watchApprovals(WatchApprovalsRequest request, StreamObserver<Approval> observer) {
    String tenant = Callers.tenant().tenant();
    Optional<String> sandbox = Answers.present(request.getSandbox());
    watches.start(watchers, tenant, observer, (call, ready) -> watch(call, ready, tenant, sandbox));
  }

  private void watch(
      ServerCallStreamObserver<Approval> call,
      Signal ready,
      String tenant,
      Optional<String> sandbox)
      throws InterruptedException {
    Map<String, Approval> told = new LinkedHashMap<>();
    while (!call.isCancelled()) {
      long seen = approvals.news().seen();
      List<Approval> waiting = watches.read(() -> approvals.waiting(tenant, sandbox));
      List<String> over =
          told.keySet().stream()
              .filter(id -> waiting.stream().noneMatch(one -> one.getId().equals(id)))
              .toList();
      for (String id : over) {
        told.remove(id);
        Optional<Approval> ended = watches.read(() -> approvals.find(tenant, id));
        if (ended.isPresent()) {
          tell(call, ready, ended.get());
        }
      }
      for (Approval one : waiting) {
        if (told.putIfAbsent(one.getId(), one) == null) {
          tell(call, ready, one);
        }
      }
      approvals.news().await(seen, Watches.LOOK);
    }
  }

  private static void tell(ServerCallStreamObserver<Approval> call, Signal ready, Approval approval)
      throws InterruptedException {
    Watches.awaitReady(call, ready);
    call.onNext(approval);
  }
}
