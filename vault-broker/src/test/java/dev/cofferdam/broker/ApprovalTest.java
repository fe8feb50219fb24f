package dev.cofferdam.broker;

import static dev.cofferdam.broker.Refused.assertRefused;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.common.util.concurrent.ListenableFuture;
import com.google.protobuf.Duration;
import dev.cofferdam.broker.TestBroker.Attached;
import dev.cofferdam.broker.grant.Approvals;
import dev.cofferdam.internal.v1.AttachmentServiceGrpc;
import dev.cofferdam.internal.v1.AwaitApprovalRequest;
import dev.cofferdam.internal.v1.AwaitApprovalResponse;
import dev.cofferdam.v1.AnswerApprovalRequest;
import dev.cofferdam.v1.Approval;
import dev.cofferdam.v1.ApprovalServiceGrpc;
import dev.cofferdam.v1.ApprovalState;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.ListApprovalsRequest;
import dev.cofferdam.v1.Verdict;
import dev.cofferdam.v1.WatchApprovalsRequest;
import io.grpc.Status;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;

/** Requests that wait for somebody's word, and who answers. */
class ApprovalTest extends BrokerTest {
  private String approver() {
    return broker.token("acme", "approvals", "audit:read");
  }

  private ApprovalServiceGrpc.ApprovalServiceBlockingStub approvals(String token) {
    return ApprovalServiceGrpc.newBlockingStub(broker.tenant(token))
        .withDeadlineAfter(TestBroker.PATIENCE_S, TimeUnit.SECONDS);
  }

  private static AwaitApprovalRequest.Builder request(Attached attached, String path) {
    return AwaitApprovalRequest.newBuilder()
        .setSandbox(attached.sandbox())
        .setSlotAddress(attached.slot())
        .setGeneration(attached.generation())
        .setRequest("00112233445566778899aabbccddeeff")
        .setHost(TestBroker.HOST)
        .setPort(443)
        .setTls(true)
        .setMethod("DELETE")
        .setPath(path)
        .setBodyBytes(17)
        .setContentType("application/json");
  }

  private ListenableFuture<AwaitApprovalResponse> ask(AwaitApprovalRequest.Builder request) {
    return AttachmentServiceGrpc.newFutureStub(
            broker.peer("egress-gateway", "g1", broker.app().meshPort()))
        .awaitApproval(request.build());
  }

  private static AwaitApprovalResponse get(ListenableFuture<AwaitApprovalResponse> call)
      throws Exception {
    return call.get(TestBroker.PATIENCE_S, TimeUnit.SECONDS);
  }

  /** Once so many of the sandbox wait. */
  private List<Approval> waiting(String token, Attached attached, int count) {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(TestBroker.PATIENCE_S);
    while (true) {
      List<Approval> found =
          approvals(token)
              .listApprovals(
                  ListApprovalsRequest.newBuilder().setSandbox(attached.sandbox()).build())
              .getApprovalsList();
      if (found.size() == count) {
        return found;
      }
      assertThat(System.nanoTime()).as(found.toString()).isLessThan(end);
      LockSupport.parkNanos(5_000_000);
    }
  }

  private Approval answer(String token, String approval, boolean approve) {
    return approvals(token)
        .answerApproval(
            AnswerApprovalRequest.newBuilder().setApproval(approval).setApprove(approve).build());
  }

  private void assertOver(String token, String approval) {
    assertRefused(
        () -> answer(token, approval, true),
        Status.Code.FAILED_PRECONDITION,
        ErrorReason.ERROR_REASON_APPROVAL_OVER);
  }

  @Test
  void anApprovalIsShownGivenOnceAndOnRecordWithWhoGaveIt() throws Exception {
    Attached attached = broker.attached("approved");
    String token = approver();
    ListenableFuture<AwaitApprovalResponse> call = ask(request(attached, "/v1/x?key=hidden"));
    Approval shown = waiting(token, attached, 1).getFirst();
    assertThat(shown.getHost()).isEqualTo(TestBroker.HOST);
    assertThat(shown.getMethod()).isEqualTo("DELETE");
    assertThat(shown.getPath()).isEqualTo("/v1/x");
    assertThat(shown.getBodyBytes()).isEqualTo(17);
    assertThat(call.isDone()).isFalse();

    assertThat(answer(token, shown.getId(), true).getState())
        .isEqualTo(ApprovalState.APPROVAL_STATE_APPROVED);
    AwaitApprovalResponse response = get(call);
    assertThat(response.getRefused()).isEqualTo(EgressReason.EGRESS_REASON_UNSPECIFIED);
    assertThat(response.getApproval()).isEqualTo(shown.getId());

    assertOver(token, shown.getId());
    assertThat(waiting(token, attached, 0)).isEmpty();
    List<AuditEvent> record =
        broker.events(attached.apiToken()).stream()
            .filter(event -> event.getApproval().equals(shown.getId()))
            .toList();
    assertThat(record).hasSize(2);
    assertThat(record.getLast().getVerdict()).isEqualTo(Verdict.VERDICT_ALLOWED);
    assertThat(record.getLast().getToken()).startsWith("tk-");
    assertThat(record.getLast().getMessage()).contains(record.getLast().getToken());
    assertThat(record.getLast().getMethod()).isEqualTo("DELETE");
  }

  /** Neither a repeat of the same request nor another goes on by what was approved once. */
  @Test
  void whatWasApprovedForOneRequestIsNoOthers() throws Exception {
    Attached attached = broker.attached("replayed");
    String token = approver();
    ListenableFuture<AwaitApprovalResponse> first = ask(request(attached, "/a"));
    answer(token, waiting(token, attached, 1).getFirst().getId(), true);
    assertThat(get(first).getRefused()).isEqualTo(EgressReason.EGRESS_REASON_UNSPECIFIED);

    ListenableFuture<AwaitApprovalResponse> again = ask(request(attached, "/a"));
    Approval second = waiting(token, attached, 1).getFirst();
    answer(token, second.getId(), false);
    assertThat(get(again).getRefused()).isEqualTo(EgressReason.EGRESS_REASON_APPROVAL_DENIED);
  }

  @Test
  void whatIsRememberedIsTheSameAndNoMore() throws Exception {
    Attached attached = broker.attached("remembered");
    String token = approver();
    ListenableFuture<AwaitApprovalResponse> first = ask(request(attached, "/a"));
    Approval approval = waiting(token, attached, 1).getFirst();
    var _ =
        approvals(token)
            .answerApproval(
                AnswerApprovalRequest.newBuilder()
                    .setApproval(approval.getId())
                    .setApprove(true)
                    .setRemember(Duration.newBuilder().setSeconds(600))
                    .build());
    assertThat(get(first).getRefused()).isEqualTo(EgressReason.EGRESS_REASON_UNSPECIFIED);
    AwaitApprovalResponse same = get(ask(request(attached, "/a").setBodyBytes(99)));
    assertThat(same.getRefused()).isEqualTo(EgressReason.EGRESS_REASON_UNSPECIFIED);
    assertThat(same.getApproval()).isEqualTo(approval.getId());

    String grant = grantOf(attached);
    List<AwaitApprovalRequest.Builder> others =
        List.of(
            request(attached, "/b"),
            request(attached, "/a").setMethod("PUT"),
            request(attached, "/a").setHost("other.example.com"),
            request(attached, "/a").setPort(8443),
            request(attached, "/a").setTls(false),
            request(attached, "/a").addGrants(grant));
    for (AwaitApprovalRequest.Builder other : others) {
      ListenableFuture<AwaitApprovalResponse> call = ask(other);
      answer(token, waiting(token, attached, 1).getFirst().getId(), false);
      assertThat(get(call).getRefused()).isEqualTo(EgressReason.EGRESS_REASON_APPROVAL_DENIED);
    }

    broker.clock.advance(java.time.Duration.ofSeconds(601));
    ListenableFuture<AwaitApprovalResponse> later = ask(request(attached, "/a"));
    answer(token, waiting(token, attached, 1).getFirst().getId(), false);
    assertThat(get(later).getRefused()).isEqualTo(EgressReason.EGRESS_REASON_APPROVAL_DENIED);
  }

  private String grantOf(Attached attached) throws Exception {
    try (var connection = broker.database.connect();
        var statement =
            connection.prepareStatement("select id from secret_grant where sandbox = ?")) {
      statement.setString(1, attached.sandbox());
      try (var row = statement.executeQuery()) {
        assertThat(row.next()).isTrue();
        return row.getString(1);
      }
    }
  }

  @Test
  void theSecretsAreNamed() throws Exception {
    Attached attached = broker.attached("named-secret");
    String token = approver();
    ListenableFuture<AwaitApprovalResponse> call =
        ask(request(attached, "/a").addGrants(grantOf(attached)));
    Approval shown = waiting(token, attached, 1).getFirst();
    assertThat(shown.getSecretsList()).containsExactly("named-secret");
    assertThat(shown.toString()).doesNotContain(TestBroker.VALUE);
    answer(token, shown.getId(), true);
    var _ = get(call);
  }

  @Test
  void noMoreWaitThanMay() throws Exception {
    Attached attached = broker.attached("crowd");
    String token = approver();
    List<ListenableFuture<AwaitApprovalResponse>> calls = new ArrayList<>();
    for (int i = 0; i < Approvals.MAX_WAITING; i++) {
      calls.add(ask(request(attached, "/" + i)));
    }
    List<Approval> waiting = waiting(token, attached, Approvals.MAX_WAITING);
    assertThat(get(ask(request(attached, "/more"))).getRefused())
        .isEqualTo(EgressReason.EGRESS_REASON_TOO_MANY_WAITING);

    // Another sandbox has a bound of its own.
    Attached other = broker.attached("no-crowd");
    ListenableFuture<AwaitApprovalResponse> free = ask(request(other, "/"));
    answer(token, waiting(token, other, 1).getFirst().getId(), true);
    assertThat(get(free).getRefused()).isEqualTo(EgressReason.EGRESS_REASON_UNSPECIFIED);
    waiting.forEach(one -> answer(token, one.getId(), false));
    for (ListenableFuture<AwaitApprovalResponse> call : calls) {
      assertThat(get(call).getRefused()).isEqualTo(EgressReason.EGRESS_REASON_APPROVAL_DENIED);
    }
  }

  @Test
  void withoutAnAnswerItIsRefused() throws Exception {
    Attached attached = broker.attached("late");
    String token = approver();
    ListenableFuture<AwaitApprovalResponse> call = ask(request(attached, "/"));
    Approval shown = waiting(token, attached, 1).getFirst();
    broker.clock.advance(java.time.Duration.ofMinutes(5));
    assertThat(get(call).getRefused()).isEqualTo(EgressReason.EGRESS_REASON_APPROVAL_TIMEOUT);
    assertOver(token, shown.getId());
  }

  /** The gateway is gone, or its guest: what nobody waits for cannot be approved any more. */
  @Test
  void aCallThatEndsEndsTheQuestion() throws Exception {
    Attached attached = broker.attached("gone");
    String token = approver();
    ListenableFuture<AwaitApprovalResponse> call = ask(request(attached, "/"));
    Approval shown = waiting(token, attached, 1).getFirst();
    call.cancel(true);
    assertThat(waiting(token, attached, 0)).isEmpty();
    assertOver(token, shown.getId());
  }

  /** It ended without a word, and comes back under its name. */
  @Test
  void aBrokerThatBeginsAnewEndsWhatWaitedAtIt() throws Exception {
    Attached attached = broker.attached("restarted");
    String token = approver();
    ListenableFuture<AwaitApprovalResponse> call =
        AttachmentServiceGrpc.newFutureStub(
                broker.peer("egress-gateway", "g1", broker.another("b3").meshPort()))
            .awaitApproval(request(attached, "/").build());
    Approval shown = waiting(token, attached, 1).getFirst();
    var _ = broker.another("b3");
    assertOver(token, shown.getId());
    assertThat(get(call).getRefused()).isEqualTo(EgressReason.EGRESS_REASON_APPROVAL_TIMEOUT);
  }

  @Test
  void aBrokerThatStopsRefuses() throws Exception {
    Attached attached = broker.attached("stopped");
    String token = approver();
    BrokerApp stopping = broker.another("b4");
    ListenableFuture<AwaitApprovalResponse> call =
        AttachmentServiceGrpc.newFutureStub(
                broker.peer("egress-gateway", "g1", stopping.meshPort()))
            .awaitApproval(request(attached, "/").build());
    Approval shown = waiting(token, attached, 1).getFirst();
    stopping.close();
    assertThatThrownBy(() -> get(call)).hasMessageContaining("UNAVAILABLE");
    assertOver(token, shown.getId());
  }

  @Test
  void onlyWhoMayAnswersAndOnlyForTheirOwn() throws Exception {
    Attached attached = broker.attached("foreign");
    String token = approver();
    ListenableFuture<AwaitApprovalResponse> call = ask(request(attached, "/"));
    Approval shown = waiting(token, attached, 1).getFirst();

    assertRefused(
        () -> answer(attached.apiToken(), shown.getId(), true),
        Status.Code.PERMISSION_DENIED,
        ErrorReason.ERROR_REASON_SCOPE_MISSING);
    assertRefused(
        () -> answer(broker.token("other", "approvals"), shown.getId(), true),
        Status.Code.NOT_FOUND,
        ErrorReason.ERROR_REASON_APPROVAL_NOT_FOUND);
    assertThat(call.isDone()).isFalse();
    // A token that may answer must not be one that is sent to the scheduler.
    assertRefused(
        () ->
            broker
                .scheduler(broker.token("acme", "sandboxes:write", "approvals"))
                .createGrants(TestBroker.grants(broker.newSandbox())),
        Status.Code.PERMISSION_DENIED,
        ErrorReason.ERROR_REASON_THROUGH_SCHEDULER);
    answer(token, shown.getId(), false);
    assertThat(get(call).getRefused()).isEqualTo(EgressReason.EGRESS_REASON_APPROVAL_DENIED);
  }

  @Test
  void aGatewayAsksForItsOwnSandboxesAlone() {
    Attached attached = broker.attached("slot");
    for (AwaitApprovalRequest.Builder wrong :
        List.of(
            request(attached, "/").setSlotAddress("100.80.250.250"),
            request(attached, "/").setGeneration(attached.generation() + 1),
            request(attached, "/").setSandbox("sb-unknown"))) {
      assertRefused(
          () -> broker.gateway("g1").awaitApproval(wrong.build()),
          Status.Code.NOT_FOUND,
          ErrorReason.ERROR_REASON_ATTACHMENT_NOT_FOUND);
    }
    assertRefused(
        () -> broker.gateway("g2").awaitApproval(request(attached, "/").build()),
        Status.Code.NOT_FOUND,
        ErrorReason.ERROR_REASON_ATTACHMENT_NOT_FOUND);
  }

  /** Nobody shall answer for what is not shown whole. */
  @Test
  void aPathThatCannotBeShownIsRefused() {
    Attached attached = broker.attached("long");
    assertThat(
            broker
                .gateway("g1")
                .awaitApproval(request(attached, "/" + "x".repeat(3000)).build())
                .getRefused())
        .isEqualTo(EgressReason.EGRESS_REASON_REQUEST_NOT_ALLOWED);
  }

  @Test
  void aWatchTellsWhatComesAndWhatBecomesOfIt() throws Exception {
    Attached attached = broker.attached("watched");
    String token = approver();
    Iterator<Approval> watch =
        approvals(token)
            .watchApprovals(
                WatchApprovalsRequest.newBuilder().setSandbox(attached.sandbox()).build());
    ListenableFuture<AwaitApprovalResponse> call = ask(request(attached, "/"));
    Approval come = watch.next();
    assertThat(come.getState()).isEqualTo(ApprovalState.APPROVAL_STATE_WAITING);
    answer(token, come.getId(), false);
    Approval ended = watch.next();
    assertThat(ended.getId()).isEqualTo(come.getId());
    assertThat(ended.getState()).isEqualTo(ApprovalState.APPROVAL_STATE_DENIED);
    var _ = get(call);
  }

  /** An answer may come by way of another broker than the one that the gateway asked. */
  @Test
  void anyBrokerTakesTheAnswer() throws Exception {
    Attached attached = broker.attached("two-brokers");
    String token = approver();
    ListenableFuture<AwaitApprovalResponse> call =
        AttachmentServiceGrpc.newFutureStub(
                broker.peer("egress-gateway", "g1", broker.another("b2").meshPort()))
            .awaitApproval(request(attached, "/").build());
    answer(token, waiting(token, attached, 1).getFirst().getId(), true);
    assertThat(get(call).getRefused()).isEqualTo(EgressReason.EGRESS_REASON_UNSPECIFIED);
  }
}
