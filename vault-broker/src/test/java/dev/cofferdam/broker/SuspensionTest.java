package dev.cofferdam.broker;

import static dev.cofferdam.broker.Refused.assertEgressRefused;
import static dev.cofferdam.broker.Refused.assertRefused;
import static dev.cofferdam.broker.Refused.egressReason;
import static dev.cofferdam.broker.TestBroker.VALUE;
import static dev.cofferdam.broker.TestBroker.grants;
import static dev.cofferdam.broker.TestBroker.redeem;
import static dev.cofferdam.broker.TestBroker.use;
import static org.assertj.core.api.Assertions.assertThat;

import com.google.errorprone.annotations.CanIgnoreReturnValue;
import dev.cofferdam.broker.TestBroker.Attached;
import dev.cofferdam.internal.v1.AttachmentServiceGrpc;
import dev.cofferdam.internal.v1.CreateGrantsResponse;
import dev.cofferdam.internal.v1.GrantServiceGrpc;
import dev.cofferdam.internal.v1.IssueTicketRequest;
import dev.cofferdam.internal.v1.MaterializeRequest;
import dev.cofferdam.internal.v1.RevokeGrantsRequest;
import dev.cofferdam.internal.v1.SuspendGrantsRequest;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.AuditEventType;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.Verdict;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** A node is lost, and comes back. */
class SuspensionTest extends BrokerTest {
  @CanIgnoreReturnValue
  private int suspend(String node, boolean suspended) {
    return broker
        .scheduler("")
        .suspendGrants(
            SuspendGrantsRequest.newBuilder().setNode(node).setSuspended(suspended).build())
        .getSandboxes();
  }

  @AfterEach
  void back() {
    suspend("n1", false);
    suspend("n2", false);
  }

  private void assertWorks(MaterializeRequest.Builder request) {
    assertThat(TestBroker.texts(broker.gateway("g1").materialize(request.build())))
        .containsExactly(VALUE);
  }

  private void assertDenied(MaterializeRequest.Builder request, EgressReason reason) {
    assertEgressRefused(() -> broker.gateway("g1").materialize(request.build()), reason);
  }

  private List<AuditEvent> events(Attached of) {
    return broker.events(of.apiToken()).stream()
        .filter(event -> event.getSandbox().equals(of.sandbox()))
        .toList();
  }

  private String moved(Attached attached, String node, String slot) {
    String ticket =
        broker
            .scheduler("")
            .issueTicket(
                IssueTicketRequest.newBuilder()
                    .setSandbox(attached.sandbox())
                    .setNode(node)
                    .setEpoch(2)
                    .build())
            .getAttachTicket();
    var _ =
        broker.gateway("g1").redeemTicket(redeem(ticket, slot).toBuilder().setNode(node).build());
    return slot;
  }

  @Test
  void whileTheNodeIsLostNoValueLeavesAndEachAttemptIsOnRecord() {
    Attached attached = broker.attached("lost");
    int others = suspend("n1", false) - 1;
    assertThat(suspend("n1", true)).isEqualTo(1 + others);
    assertDenied(attached.request(), EgressReason.EGRESS_REASON_GRANT_SUSPENDED);
    AuditEvent denial = events(attached).getLast();
    assertThat(denial.getType()).isEqualTo(AuditEventType.AUDIT_EVENT_TYPE_USE);
    assertThat(denial.getVerdict()).isEqualTo(Verdict.VERDICT_DENIED);
    assertThat(denial.getReason()).isEqualTo(EgressReason.EGRESS_REASON_GRANT_SUSPENDED);
    assertThat(denial.getSecret()).isEqualTo("lost");
    assertThat(suspend("n1", false)).isEqualTo(1 + others);
    assertWorks(attached.request());
  }

  @Test
  void repeatsChangeNothingAndAreOnRecordOnce() {
    Attached attached = broker.attached("repeats");
    for (boolean suspended : new boolean[] {true, true, false, false}) {
      suspend("n1", suspended);
    }
    assertThat(events(attached))
        .extracting(AuditEvent::getMessage)
        .filteredOn(message -> message.startsWith("all grants"))
        .containsExactly(
            "all grants suspended: node n1 is lost", "all grants back in use: node n1 is back");
    assertWorks(attached.request());
  }

  @Test
  void whatIsNotTheSandboxesOwnStaysForeign() {
    Attached mine = broker.attached("own");
    suspend("n1", true);
    assertDenied(
        mine.request()
            .clearUses()
            .addUses(use("cofferdam_" + "a".repeat(43), "header:authorization")),
        EgressReason.EGRESS_REASON_PLACEHOLDER_FOREIGN);
  }

  @Test
  void aRestartOfTheBrokerDoesNotBringThemBack() throws Exception {
    Attached attached = broker.attached("restart");
    suspend("n1", true);
    broker.restart();
    assertDenied(attached.request(), EgressReason.EGRESS_REASON_GRANT_SUSPENDED);
    suspend("n1", false);
    assertWorks(attached.request());
  }

  @Test
  void whatWasRevokedMeanwhileStaysSo() {
    Attached attached = broker.attached("revoked");
    suspend("n1", true);
    var _ =
        broker
            .scheduler("")
            .revokeGrants(RevokeGrantsRequest.newBuilder().setSandbox(attached.sandbox()).build());
    suspend("n1", false);
    assertDenied(attached.request(), EgressReason.EGRESS_REASON_GRANT_REVOKED);
  }

  @Test
  void aSandboxThatMovedAwayIsNotConcernedAndItsOldPlaceIsGone() {
    Attached attached = broker.attached("moved");
    suspend("n1", true);
    String slot = moved(attached, "n2", "100.81.0.11");
    assertWorks(attached.request().setSlotAddress(slot));
    suspend("n1", false);
    assertDenied(attached.request(), EgressReason.EGRESS_REASON_UNKNOWN_SLOT);
    suspend("n1", true);
    suspend("n2", true);
    assertDenied(
        attached.request().setSlotAddress(slot), EgressReason.EGRESS_REASON_GRANT_SUSPENDED);
    suspend("n1", false);
    assertDenied(
        attached.request().setSlotAddress(slot), EgressReason.EGRESS_REASON_GRANT_SUSPENDED);
  }

  /** The ticket for elsewhere is out, but the one that is lost may still run the sandbox. */
  @Test
  void untilTheMoveIsDoneTheLostNodesPlaceStaysSuspended() {
    Attached attached = broker.attached("moving");
    suspend("n1", true);
    var _ =
        broker
            .scheduler("")
            .issueTicket(
                IssueTicketRequest.newBuilder()
                    .setSandbox(attached.sandbox())
                    .setNode("n2")
                    .setEpoch(2)
                    .build());
    assertDenied(attached.request(), EgressReason.EGRESS_REASON_GRANT_SUSPENDED);
  }

  @Test
  void whatAttachesThereLaterIsSuspendedToo() {
    Attached before = broker.attached("later");
    CreateGrantsResponse granted =
        broker.scheduler(before.apiToken()).createGrants(grants(broker.newSandbox(), "later"));
    suspend("n1", true);
    String slot = broker.nextSlot();
    var _ = broker.gateway("g1").redeemTicket(redeem(granted.getAttachTicket(), slot));
    Attached later =
        new Attached(
            broker.lastSandbox(),
            slot,
            1,
            granted.getPlaceholders(0).getPlaceholder(),
            before.apiToken(),
            before.secretsToken());
    assertDenied(later.request(), EgressReason.EGRESS_REASON_GRANT_SUSPENDED);
    suspend("n1", false);
    assertWorks(later.request());
  }

  @Test
  void aNodeThatIsNotKnownIsNoErrorAndAForgedNameIs() {
    assertThat(suspend("n9", true)).isZero();
    assertThat(suspend("n9", false)).isZero();
    assertRefused(
        () -> suspend("n1' or true", true),
        Status.Code.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_INVALID_ARGUMENT);
  }

  @Test
  void noNodeAndNoGatewayMaySaySo() {
    for (String service : List.of("node-agent", "egress-gateway")) {
      var stub =
          GrantServiceGrpc.newBlockingStub(broker.peer(service, "n1", broker.app().meshPort()))
              .withDeadlineAfter(TestBroker.PATIENCE_S, TimeUnit.SECONDS);
      assertRefused(
          () -> stub.suspendGrants(SuspendGrantsRequest.newBuilder().setNode("n1").build()),
          Status.Code.PERMISSION_DENIED,
          ErrorReason.ERROR_REASON_PEER_NOT_ALLOWED);
    }
  }

  /** All that was handed out is on record before the suspension, over both brokers. */
  @Test
  void itIsExactAtCommit() throws Exception {
    BrokerApp second = broker.another("b2");
    var gateways =
        List.of(
            broker.gateway("g1"),
            AttachmentServiceGrpc.newBlockingStub(
                broker.peer("egress-gateway", "g1", second.meshPort())));
    for (int round = 0; round < 5; round++) {
      Attached attached = broker.attached("exact-" + round);
      AtomicInteger handedOut = new AtomicInteger();
      CountDownLatch warm = new CountDownLatch(20);
      try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
        List<Future<?>> callers = new ArrayList<>();
        for (int i = 0; i < 8; i++) {
          var gateway = gateways.get(i % 2);
          callers.add(
              threads.submit(() -> {
                while (true) {
                  try {
                    var _ = gateway.materialize(attached.request().build());
                    handedOut.incrementAndGet();
                    warm.countDown();
                  } catch (StatusRuntimeException e) {
                    assertThat(egressReason(e)).isEqualTo("GRANT_SUSPENDED");
                    return null;
                  }
                }
              }));
        }
        assertThat(warm.await(TestBroker.PATIENCE_S, TimeUnit.SECONDS)).isTrue();
        suspend("n1", true);
        for (Future<?> caller : callers) {
          caller.get();
        }
      }
      suspend("n1", false);
      List<AuditEvent> events = events(attached);
      int suspended =
          events.stream()
              .map(AuditEvent::getMessage)
              .toList()
              .indexOf("all grants suspended: node n1 is lost");
      assertThat(suspended).isPositive();
      assertThat(allowed(events.subList(0, suspended))).isEqualTo(handedOut.get());
      assertThat(allowed(events.subList(suspended, events.size()))).isZero();
    }
  }

  private static long allowed(List<AuditEvent> events) {
    return events.stream()
        .filter(event -> event.getType() == AuditEventType.AUDIT_EVENT_TYPE_USE)
        .filter(event -> event.getVerdict() == Verdict.VERDICT_ALLOWED)
        .count();
  }
}
