package dev.cofferdam.broker;

import static dev.cofferdam.broker.Refused.assertRefused;
import static dev.cofferdam.broker.TestBroker.policy;
import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import dev.cofferdam.broker.TestBroker.Attached;
import dev.cofferdam.internal.v1.Attachment;
import dev.cofferdam.internal.v1.GetPolicyRequest;
import dev.cofferdam.internal.v1.GetPolicyResponse;
import dev.cofferdam.internal.v1.IssueCertificateRequest;
import dev.cofferdam.internal.v1.RevokeGrantsRequest;
import dev.cofferdam.internal.v1.SyncAttachmentsRequest;
import dev.cofferdam.internal.v1.SyncAttachmentsResponse;
import dev.cofferdam.internal.v1.SyncStart;
import dev.cofferdam.internal.v1.UpdatePolicyRequest;
import dev.cofferdam.internal.v1.UpdatePolicyResponse;
import dev.cofferdam.v1.DeleteSecretRequest;
import dev.cofferdam.v1.ErrorReason;
import io.grpc.Status;
import io.grpc.stub.StreamObserver;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;

/** What a gateway is told, and who waits for it. */
class SyncTest extends BrokerTest {
  /** A gateway's side of its stream. */
  private static final class Gateway
      implements StreamObserver<SyncAttachmentsResponse>, AutoCloseable {
    private final BlockingQueue<Object> heard = new LinkedBlockingQueue<>();
    private final StreamObserver<SyncAttachmentsRequest> toBroker;

    Gateway(TestBroker broker, String instance, String process) {
      toBroker = broker.gatewayStreams(instance).syncAttachments(this);
      toBroker.onNext(
          SyncAttachmentsRequest.newBuilder()
              .setStart(SyncStart.newBuilder().setProcess(process))
              .build());
    }

    SyncAttachmentsResponse next(Predicate<SyncAttachmentsResponse> wanted)
        throws InterruptedException {
      while (true) {
        Object next = heard.poll(TestBroker.PATIENCE_S, TimeUnit.SECONDS);
        if (!(next instanceof SyncAttachmentsResponse response)) {
          throw new AssertionError("expected a message, heard " + next);
        }
        if (wanted.test(response)) {
          return response;
        }
      }
    }

    /** The next that is no lease. */
    SyncAttachmentsResponse change() throws InterruptedException {
      return next(response -> !response.hasLease());
    }

    void acknowledge(SyncAttachmentsResponse response) {
      toBroker.onNext(
          SyncAttachmentsRequest.newBuilder().setAcknowledge(response.getSequence()).build());
    }

    Object end() throws InterruptedException {
      while (true) {
        Object next = heard.poll(TestBroker.PATIENCE_S, TimeUnit.SECONDS);
        if (!(next instanceof SyncAttachmentsResponse)) {
          return next == null ? "nothing" : next;
        }
      }
    }

    @Override
    public void onNext(SyncAttachmentsResponse value) {
      heard.add(value);
    }

    @Override
    public void onError(Throwable t) {
      heard.add(t);
    }

    @Override
    public void onCompleted() {
      heard.add("completed");
    }

    @Override
    public void close() {
      toBroker.onError(Status.CANCELLED.asRuntimeException());
    }
  }

  private Attached attachedAt(String gateway, String secret) {
    String secrets = broker.secretsToken("acme");
    var _ = broker.secrets(secrets).putSecret(TestBroker.put(secret, TestBroker.VALUE).build());
    return broker.attached(secret, broker.apiToken("acme"), secrets, gateway, broker.nextSlot());
  }

  private Future<UpdatePolicyResponse> update(
      java.util.concurrent.ExecutorService threads, Attached attached, String... hosts) {
    return threads.submit(() ->
        broker
            .scheduler(attached.apiToken())
            .updatePolicy(
                UpdatePolicyRequest.newBuilder()
                    .setSandbox(attached.sandbox())
                    .setPolicy(policy(hosts))
                    .build()));
  }

  @Test
  void everythingAttachedThenTheMarkThenChangesAndLeases() throws Exception {
    Attached before = attachedAt("sync-1", "sync-before");
    try (Gateway gateway = new Gateway(broker, "sync-1", "p1")) {
      Attachment told = gateway.change().getAttached();
      assertThat(told.getSandbox()).isEqualTo(before.sandbox());
      assertThat(told.getSecrets(0).getSecret()).isEqualTo("sync-before");
      assertThat(told.getSecrets(0).getPlaceholderSha256())
          .isEqualTo(TestBroker.use(before.placeholder(), "x").getPlaceholderSha256());
      assertThat(told.toString()).doesNotContain(before.placeholder());
      assertThat(gateway.change().hasSynchronized()).isTrue();
      assertThat(
              gateway
                  .next(SyncAttachmentsResponse::hasLease)
                  .getLease()
                  .getPolicyLease()
                  .getSeconds())
          .isEqualTo(600);

      Attached after = attachedAt("sync-1", "sync-after");
      SyncAttachmentsResponse change = gateway.change();
      assertThat(change.getAttached().getSandbox()).isEqualTo(after.sandbox());

      var _ =
          broker
              .secrets(after.secretsToken())
              .deleteSecret(DeleteSecretRequest.newBuilder().setName("sync-after").build());
      SyncAttachmentsResponse updated = gateway.change();
      assertThat(updated.getUpdated().getSandbox()).isEqualTo(after.sandbox());
      assertThat(updated.getUpdated().getSecretsList()).isEmpty();
      assertThat(updated.getSequence()).isGreaterThan(change.getSequence());

      var _ =
          broker
              .scheduler("")
              .revokeGrants(RevokeGrantsRequest.newBuilder().setSandbox(before.sandbox()).build());
      assertThat(gateway.change().getDetached()).isEqualTo(before.sandbox());
    }
  }

  @Test
  void aGatewayLearnsNothingOfAnothers() throws Exception {
    var _ = attachedAt("sync-mine", "sync-mine");
    try (Gateway other = new Gateway(broker, "sync-other", "p1")) {
      assertThat(other.change().hasSynchronized()).isTrue();
    }
  }

  @Test
  void aMoveIsAnEndAtTheOldGateway() throws Exception {
    Attached attached = attachedAt("move-1", "move");
    try (Gateway old = new Gateway(broker, "move-1", "p1")) {
      assertThat(old.change().hasAttached()).isTrue();
      assertThat(old.change().hasSynchronized()).isTrue();
      String ticket =
          broker
              .scheduler("")
              .issueTicket(
                  dev.cofferdam.internal.v1.IssueTicketRequest.newBuilder()
                      .setSandbox(attached.sandbox())
                      .setNode("n2")
                      .setEpoch(2)
                      .build())
              .getAttachTicket();
      var _ =
          broker
              .gateway("move-2")
              .redeemTicket(
                  TestBroker.redeem(ticket, "100.81.7.7").toBuilder().setNode("n2").build());
      assertThat(old.change().getDetached()).isEqualTo(attached.sandbox());
    }
  }

  @Test
  void anUpdateReturnsOnceItIsAcknowledged() throws Exception {
    Attached attached = attachedAt("ack-1", "ack");
    try (var threads = Executors.newVirtualThreadPerTaskExecutor();
        Gateway gateway = new Gateway(broker, "ack-1", "p1")) {
      gateway.next(SyncAttachmentsResponse::hasSynchronized);
      Future<UpdatePolicyResponse> update =
          update(threads, attached, TestBroker.HOST, "b.example.com");
      SyncAttachmentsResponse told = gateway.change();
      assertThat(told.getUpdated().getPolicyRevision()).isEqualTo(2);
      assertThat(told.getUpdated().getPolicy().getRulesCount()).isEqualTo(2);
      assertThat(update.isDone()).isFalse();
      gateway.acknowledge(told);
      assertThat(update.get().getPolicyRevision()).isEqualTo(2);
    }
  }

  @Test
  void withoutAnAcknowledgementTheRevisionStandsAndTheCallSaysSo() throws Exception {
    Attached attached = attachedAt("silent-1", "silent");
    assertRefused(
        () ->
            broker
                .scheduler(attached.apiToken())
                .updatePolicy(
                    UpdatePolicyRequest.newBuilder()
                        .setSandbox(attached.sandbox())
                        .setPolicy(policy())
                        .build()),
        Status.Code.UNAVAILABLE,
        ErrorReason.ERROR_REASON_GATEWAY_UNAVAILABLE);
    try (Gateway gateway = new Gateway(broker, "silent-1", "p1")) {
      assertThat(gateway.change().getAttached().getPolicyRevision()).isEqualTo(2);
    }
  }

  @Test
  void whatAnEarlierProcessAcknowledgedDoesNotCount() throws Exception {
    Attached attached = attachedAt("proc-1", "proc");
    try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
      try (Gateway first = new Gateway(broker, "proc-1", "p1")) {
        first.acknowledge(first.next(SyncAttachmentsResponse::hasSynchronized));
      }
      try (Gateway second = new Gateway(broker, "proc-1", "p2")) {
        second.next(SyncAttachmentsResponse::hasSynchronized);
        Future<UpdatePolicyResponse> update = update(threads, attached, TestBroker.HOST);
        second.acknowledge(second.change());
        assertThat(update.get().getPolicyRevision()).isEqualTo(2);
      }
    }
  }

  @Test
  void aSandboxThatIsNowhereAttachedIsUpdatedAtOnce() {
    String token = broker.apiToken("nowhere");
    String sandbox = broker.newSandbox();
    var _ = broker.scheduler(token).createGrants(TestBroker.grants(sandbox));
    assertThat(
            broker
                .scheduler(token)
                .updatePolicy(
                    UpdatePolicyRequest.newBuilder()
                        .setSandbox(sandbox)
                        .setPolicy(policy("b.example.com"))
                        .build())
                .getPolicyRevision())
        .isEqualTo(2);
    GetPolicyResponse inForce =
        broker.scheduler("").getPolicy(GetPolicyRequest.newBuilder().setSandbox(sandbox).build());
    assertThat(inForce.getPolicy()).isEqualTo(policy("b.example.com"));
    assertThat(inForce.getPolicyRevision()).isEqualTo(2);
  }

  @Test
  void aNewerStreamOfAGatewayEndsTheOlder() throws Exception {
    try (Gateway older = new Gateway(broker, "twice-1", "p1")) {
      assertThat(older.change().hasSynchronized()).isTrue();
      try (Gateway newer = new Gateway(broker, "twice-1", "p2")) {
        assertThat(newer.change().hasSynchronized()).isTrue();
        assertThat(Status.fromThrowable((Throwable) older.end()).getCode())
            .isEqualTo(Status.Code.UNAVAILABLE);
      }
    }
  }

  @Test
  void afterARestartOfTheBrokerEverythingIsToldAgain() throws Exception {
    Attached attached = attachedAt("restart-1", "restart");
    try (Gateway gateway = new Gateway(broker, "restart-1", "p1")) {
      gateway.next(SyncAttachmentsResponse::hasSynchronized);
      broker.restart();
      assertThat(gateway.end()).isInstanceOf(Throwable.class);
    }
    try (Gateway gateway = new Gateway(broker, "restart-1", "p1")) {
      assertThat(gateway.change().getAttached().getSandbox()).isEqualTo(attached.sandbox());
      assertThat(
              TestBroker.texts(broker.gateway("restart-1").materialize(attached.request().build())))
          .containsExactly(TestBroker.VALUE);
    }
  }

  @Test
  void aChangeMadeAtOneBrokerIsToldByTheOther() throws Exception {
    BrokerApp other = broker.another("b2");
    Attached attached = attachedAt("cross-1", "cross");
    var scheduler =
        dev.cofferdam.internal.v1.GrantServiceGrpc.newBlockingStub(
            broker.peer("scheduler-svc", "s1", other.meshPort()));
    try (Gateway gateway = new Gateway(broker, "cross-1", "p1")) {
      gateway.next(SyncAttachmentsResponse::hasSynchronized);
      var _ =
          scheduler.revokeGrants(
              RevokeGrantsRequest.newBuilder().setSandbox(attached.sandbox()).build());
      assertThat(gateway.change().getDetached()).isEqualTo(attached.sandbox());
    }
  }

  @Test
  void issuersAreForAttachedSandboxesAndTheirPresentRevision() {
    Attached attached = attachedAt("issue-1", "issue");
    IssueCertificateRequest.Builder request =
        IssueCertificateRequest.newBuilder()
            .setSandbox(attached.sandbox())
            .setPolicyRevision(1)
            .setCertificateRequest(ByteString.copyFromUtf8("garbage"));
    assertRefused(
        () -> broker.gateway("issue-1").issueCertificate(request.build()),
        Status.Code.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_INVALID_ARGUMENT);
    assertRefused(
        () -> broker.gateway("issue-2").issueCertificate(request.build()),
        Status.Code.NOT_FOUND,
        ErrorReason.ERROR_REASON_ATTACHMENT_NOT_FOUND);
    assertRefused(
        () -> broker.gateway("issue-1").issueCertificate(request.setPolicyRevision(2).build()),
        Status.Code.ABORTED,
        ErrorReason.ERROR_REASON_ETAG_MISMATCH);
  }

  @Test
  void aStreamBeginsWithAStart() throws Exception {
    for (SyncAttachmentsRequest first :
        List.of(
            SyncAttachmentsRequest.newBuilder().setAcknowledge(1).build(),
            SyncAttachmentsRequest.getDefaultInstance(),
            SyncAttachmentsRequest.newBuilder().setStart(SyncStart.getDefaultInstance()).build())) {
      BlockingQueue<Throwable> failed = new LinkedBlockingQueue<>();
      broker
          .gatewayStreams("start-1")
          .syncAttachments(
              new StreamObserver<>() {
                @Override
                public void onNext(SyncAttachmentsResponse value) {}

                @Override
                public void onError(Throwable t) {
                  failed.add(t);
                }

                @Override
                public void onCompleted() {}
              })
          .onNext(first);
      assertThat(
              Status.fromThrowable(failed.poll(TestBroker.PATIENCE_S, TimeUnit.SECONDS)).getCode())
          .isEqualTo(Status.Code.INVALID_ARGUMENT);
    }
  }
}
