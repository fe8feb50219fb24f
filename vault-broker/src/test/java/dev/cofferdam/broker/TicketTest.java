package dev.cofferdam.broker;

import static dev.cofferdam.broker.Refused.assertRefused;
import static dev.cofferdam.broker.TestBroker.grants;
import static dev.cofferdam.broker.TestBroker.put;
import static dev.cofferdam.broker.TestBroker.redeem;
import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.internal.v1.Attachment;
import dev.cofferdam.internal.v1.AttachmentServiceGrpc;
import dev.cofferdam.internal.v1.CreateGrantsRequest;
import dev.cofferdam.internal.v1.CreateGrantsResponse;
import dev.cofferdam.internal.v1.IssueTicketRequest;
import dev.cofferdam.internal.v1.RevokeGrantsRequest;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.SecretReference;
import dev.cofferdam.v1.Verdict;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;

/** ATTACKS row 53, and what the scheduler may ask for. */
class TicketTest extends BrokerTest {
  private CreateGrantsResponse create(String token) {
    return broker.scheduler(token).createGrants(grants(broker.newSandbox()));
  }

  private void assertTicketRefused(String gateway, String ticket, String node, String slot) {
    assertRefused(
        () ->
            broker
                .gateway(gateway)
                .redeemTicket(redeem(ticket, slot).toBuilder().setNode(node).build()),
        Status.Code.PERMISSION_DENIED,
        ErrorReason.ERROR_REASON_TICKET_INVALID);
  }

  private List<AuditEvent> denials(String token) {
    return broker.events(token).stream()
        .filter(event -> event.getVerdict() == Verdict.VERDICT_DENIED)
        .toList();
  }

  @Test
  void aTicketIsRedeemedOnce() {
    String token = broker.apiToken("once");
    String ticket = create(token).getAttachTicket();
    String slot = broker.nextSlot();
    var _ = broker.gateway("g1").redeemTicket(redeem(ticket, slot));
    assertTicketRefused("g1", ticket, "n1", slot);
    assertTicketRefused("g2", ticket, "n1", slot);
    assertThat(denials(token)).hasSize(2);
  }

  @Test
  void anotherNodeAnotherPrefixAndNoPrefixAreRefusedAndReportedAndTheTicketStaysGood() {
    String token = broker.apiToken("other");
    String ticket = create(token).getAttachTicket();
    String slot = broker.nextSlot();
    assertTicketRefused("g1", ticket, "n2", "100.81.0.1");
    assertTicketRefused("g1", ticket, "n2", slot);
    assertTicketRefused("g1", ticket, "n3", slot);
    assertTicketRefused("g1", ticket, "n1", "100.81.0.1");
    assertTicketRefused("g1", ticket, "n1", "100.080.0.1");
    assertTicketRefused("g1", ticket, "n1", "::1");
    assertTicketRefused("g1", ticket, "n1", "");
    assertThat(denials(token)).hasSize(7);
    var _ = broker.gateway("g1").redeemTicket(redeem(ticket, slot));
  }

  @Test
  void anInventedOneIsRefused() {
    assertTicketRefused("g1", "cft_" + "a".repeat(43), "n1", broker.nextSlot());
    assertTicketRefused("g1", "", "n1", broker.nextSlot());
  }

  @Test
  void aTicketLivesForAMinute() {
    String token = broker.apiToken("minute");
    String early = create(token).getAttachTicket();
    String late = create(token).getAttachTicket();
    broker.clock.advance(Duration.ofSeconds(59));
    var _ = broker.gateway("g1").redeemTicket(redeem(early, broker.nextSlot()));
    broker.clock.advance(Duration.ofSeconds(1));
    assertTicketRefused("g1", late, "n1", broker.nextSlot());
  }

  @Test
  void aHigherEpochFencesOffTheLower() {
    String token = broker.apiToken("epoch");
    String old = create(token).getAttachTicket();
    String sandbox = broker.lastSandbox();
    IssueTicketRequest.Builder next =
        IssueTicketRequest.newBuilder().setSandbox(sandbox).setNode("n2").setEpoch(2);
    String young = broker.scheduler("").issueTicket(next.build()).getAttachTicket();
    assertRefused(
        () -> broker.gateway("g1").redeemTicket(redeem(old, broker.nextSlot())),
        Status.Code.FAILED_PRECONDITION,
        ErrorReason.ERROR_REASON_STALE_EPOCH);
    Attachment attachment =
        broker
            .gateway("g2")
            .redeemTicket(redeem(young, "100.81.0.9").toBuilder().setNode("n2").build());
    assertThat(attachment.getEpoch()).isEqualTo(2);
    assertThat(attachment.getGeneration()).isEqualTo(1);
    assertRefused(
        () -> broker.scheduler("").issueTicket(next.setEpoch(1).build()),
        Status.Code.FAILED_PRECONDITION,
        ErrorReason.ERROR_REASON_STALE_EPOCH);
  }

  @Test
  void ofManyThatRedeemAtOnceOverTwoBrokersOneSucceeds() throws Exception {
    BrokerApp second = broker.another("b2");
    String token = broker.apiToken("race");
    List<AttachmentServiceGrpc.AttachmentServiceBlockingStub> gateways =
        List.of(
            broker.gateway("g1"),
            broker.gateway("g2"),
            AttachmentServiceGrpc.newBlockingStub(
                broker.peer("egress-gateway", "g3", second.meshPort())),
            AttachmentServiceGrpc.newBlockingStub(
                broker.peer("egress-gateway", "g4", second.meshPort())));
    for (int round = 0; round < 10; round++) {
      String ticket = create(token).getAttachTicket();
      String slot = broker.nextSlot();
      CyclicBarrier together = new CyclicBarrier(gateways.size());
      int redeemed = 0;
      try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
        List<Future<Boolean>> tries =
            threads.invokeAll(
                gateways.stream()
                    .<Callable<Boolean>>map(gateway ->
                        () -> {
                          together.await();
                          try {
                            var _ = gateway.redeemTicket(redeem(ticket, slot));
                            return true;
                          } catch (StatusRuntimeException e) {
                            assertThat(e.getStatus().getCode())
                                .isEqualTo(Status.Code.PERMISSION_DENIED);
                            return false;
                          }
                        })
                    .toList());
        for (Future<Boolean> one : tries) {
          redeemed += one.get() ? 1 : 0;
        }
      }
      assertThat(redeemed).isEqualTo(1);
    }
  }

  @Test
  void aRepeatedCreateReplacesPlaceholdersAndTicketUnderTheSameRoot() {
    String token = broker.apiToken("repeat");
    var _ =
        broker.secrets(broker.secretsToken("repeat")).putSecret(put("k", TestBroker.VALUE).build());
    CreateGrantsRequest request = grants(broker.newSandbox(), "k");
    CreateGrantsResponse first = broker.scheduler(token).createGrants(request);
    CreateGrantsResponse second = broker.scheduler(token).createGrants(request);
    assertThat(second.getGeneration()).isEqualTo(2);
    assertThat(second.getCaCertificate()).isEqualTo(first.getCaCertificate());
    assertThat(second.getPlaceholders(0)).isNotEqualTo(first.getPlaceholders(0));
    assertTicketRefused("g1", first.getAttachTicket(), "n1", broker.nextSlot());
    var _ = broker.gateway("g1").redeemTicket(redeem(second.getAttachTicket(), broker.nextSlot()));
  }

  @Test
  void anEndedSandboxNeverComesBack() {
    String token = broker.apiToken("ended");
    CreateGrantsResponse granted = create(token);
    String sandbox = broker.lastSandbox();
    RevokeGrantsRequest revoke = RevokeGrantsRequest.newBuilder().setSandbox(sandbox).build();
    var _ = broker.scheduler("").revokeGrants(revoke);
    var _ = broker.scheduler("").revokeGrants(revoke);
    assertTicketRefused("g1", granted.getAttachTicket(), "n1", broker.nextSlot());
    assertRefused(
        () -> broker.scheduler(token).createGrants(grants(sandbox)),
        Status.Code.PERMISSION_DENIED,
        ErrorReason.ERROR_REASON_GRANT_REVOKED);
    assertRefused(
        () ->
            broker
                .scheduler("")
                .issueTicket(
                    IssueTicketRequest.newBuilder()
                        .setSandbox(sandbox)
                        .setNode("n1")
                        .setEpoch(9)
                        .build()),
        Status.Code.PERMISSION_DENIED,
        ErrorReason.ERROR_REASON_GRANT_REVOKED);
    var _ =
        broker
            .scheduler("")
            .revokeGrants(RevokeGrantsRequest.newBuilder().setSandbox("sb-never-was").build());
  }

  @Test
  void theSchedulerAloneGrantsNothing() {
    CreateGrantsRequest plain = grants(broker.newSandbox());
    assertRefused(
        () -> broker.scheduler("").createGrants(plain),
        Status.Code.UNAUTHENTICATED,
        ErrorReason.ERROR_REASON_TOKEN_MISSING);
    assertRefused(
        () -> broker.scheduler("cf_invented").createGrants(plain),
        Status.Code.UNAUTHENTICATED,
        ErrorReason.ERROR_REASON_TOKEN_INVALID);
    String noUse = broker.token("alone", "sandboxes:write");
    assertRefused(
        () -> broker.scheduler(noUse).createGrants(grants(broker.newSandbox(), "api-key")),
        Status.Code.PERMISSION_DENIED,
        ErrorReason.ERROR_REASON_SCOPE_MISSING);
    String noWrite = broker.token("alone", "secrets:use");
    assertRefused(
        () -> broker.scheduler(noWrite).createGrants(plain),
        Status.Code.PERMISSION_DENIED,
        ErrorReason.ERROR_REASON_SCOPE_MISSING);
    String writer = broker.token("alone", "sandboxes:write", "secrets:use", "secrets:write");
    assertRefused(
        () -> broker.scheduler(writer).createGrants(plain),
        Status.Code.PERMISSION_DENIED,
        ErrorReason.ERROR_REASON_THROUGH_SCHEDULER);
  }

  @Test
  void anotherTenantsSandboxAndSecretAreUnknown() {
    String mine = broker.apiToken("tenant-a");
    String theirs = broker.apiToken("tenant-b");
    var _ =
        broker
            .secrets(broker.secretsToken("tenant-a"))
            .putSecret(put("k", TestBroker.VALUE).build());
    var _ = create(mine);
    String sandbox = broker.lastSandbox();
    assertRefused(
        () -> broker.scheduler(theirs).createGrants(grants(sandbox)),
        Status.Code.NOT_FOUND,
        ErrorReason.ERROR_REASON_SANDBOX_NOT_FOUND);
    assertRefused(
        () -> broker.scheduler(theirs).createGrants(grants(broker.newSandbox(), "k")),
        Status.Code.NOT_FOUND,
        ErrorReason.ERROR_REASON_SECRET_NOT_FOUND);
  }

  @Test
  void variablesAreNamesAndEachIsGivenOnce() {
    String token = broker.apiToken("env");
    var secrets = broker.secrets(broker.secretsToken("env"));
    var _ = secrets.putSecret(put("a", TestBroker.VALUE).build());
    var _ = secrets.putSecret(put("b", TestBroker.VALUE).build());
    for (List<String> variables :
        List.of(List.of("X", "X"), List.of("1X", "Y"), List.of("A B", "Y"), List.of("A=", "Y"))) {
      assertRefused(
          () ->
              broker
                  .scheduler(token)
                  .createGrants(
                      grants(broker.newSandbox()).toBuilder()
                          .addSecrets(reference("a", variables.get(0)))
                          .addSecrets(reference("b", variables.get(1)))
                          .build()),
          Status.Code.INVALID_ARGUMENT,
          ErrorReason.ERROR_REASON_ENVIRONMENT_INVALID);
    }
  }

  private static SecretReference reference(String secret, String env) {
    return SecretReference.newBuilder().setSecret(secret).setEnv(env).build();
  }

  @Test
  void nobodyElseIsServedOnTheMeshListener() {
    for (String service : List.of("node-agent", "operator", "scheduler-svc")) {
      assertRefused(
          () ->
              AttachmentServiceGrpc.newBlockingStub(
                      broker.peer(service, "x1", broker.app().meshPort()))
                  .redeemTicket(redeem("t", TestBroker.SLOT)),
          Status.Code.PERMISSION_DENIED,
          ErrorReason.ERROR_REASON_PEER_NOT_ALLOWED);
    }
  }
}
