package dev.cofferdam.broker;

import static dev.cofferdam.broker.Refused.assertEgressRefused;
import static dev.cofferdam.broker.Refused.assertRefused;
import static dev.cofferdam.broker.TestBroker.HOST;
import static dev.cofferdam.broker.TestBroker.VALUE;
import static dev.cofferdam.broker.TestBroker.policy;
import static dev.cofferdam.broker.TestBroker.use;
import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.Duration;
import dev.cofferdam.internal.v1.Attachment;
import dev.cofferdam.internal.v1.CreateGrantsRequest;
import dev.cofferdam.internal.v1.GrantOrigin;
import dev.cofferdam.internal.v1.IssueTicketRequest;
import dev.cofferdam.internal.v1.MaterializeRequest;
import dev.cofferdam.internal.v1.RevokeGrantsRequest;
import dev.cofferdam.internal.v1.SyncAttachmentsRequest;
import dev.cofferdam.internal.v1.SyncAttachmentsResponse;
import dev.cofferdam.internal.v1.SyncStart;
import dev.cofferdam.internal.v1.UpdatePolicyRequest;
import dev.cofferdam.kit.call.TokenHashes;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.CreateEgressSessionRequest;
import dev.cofferdam.v1.CreateEgressSessionResponse;
import dev.cofferdam.v1.DeleteEgressSessionRequest;
import dev.cofferdam.v1.EgressProxy;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.EgressSessionServiceGrpc;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.ExtendEgressSessionRequest;
import dev.cofferdam.v1.SecretReference;
import io.grpc.Channel;
import io.grpc.Status;
import io.grpc.stub.StreamObserver;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Programs in no sandbox: who may have a session, and what nobody can make of one. */
@SuppressWarnings("NullAway.Init") // before each test
class EgressSessionTest extends BrokerTest {
  /** A gateway that puts everything into force at once. */
  private static final class Gateway
      implements StreamObserver<SyncAttachmentsResponse>, AutoCloseable {
    private final BlockingQueue<SyncAttachmentsResponse> heard = new LinkedBlockingQueue<>();
    private final StreamObserver<SyncAttachmentsRequest> toBroker;

    Gateway(TestBroker broker, String instance, String proxy) {
      toBroker = broker.gatewayStreams(instance).syncAttachments(this);
      toBroker.onNext(
          SyncAttachmentsRequest.newBuilder()
              .setStart(SyncStart.newBuilder().setProcess("p").setProxyAddress(proxy))
              .build());
    }

    SyncAttachmentsResponse next(Predicate<SyncAttachmentsResponse> wanted)
        throws InterruptedException {
      while (true) {
        SyncAttachmentsResponse next = heard.poll(TestBroker.PATIENCE_S, TimeUnit.SECONDS);
        if (next == null) {
          throw new AssertionError("no such message came");
        }
        if (wanted.test(next)) {
          return next;
        }
      }
    }

    @Override
    public void onNext(SyncAttachmentsResponse value) {
      toBroker.onNext(
          SyncAttachmentsRequest.newBuilder().setAcknowledge(value.getSequence()).build());
      heard.add(value);
    }

    @Override
    public void onError(Throwable t) {}

    @Override
    public void onCompleted() {}

    @Override
    public void close() {
      toBroker.onError(Status.CANCELLED.asRuntimeException());
    }
  }

  private static final String PROXY = "127.0.0.1:7490";

  private Gateway gateway;
  private String apiToken;

  @BeforeEach
  void gateway() throws Exception {
    gateway = new Gateway(broker, "gp", PROXY);
    var _ = gateway.next(SyncAttachmentsResponse::hasSynchronized);
    apiToken = broker.apiToken("acme");
  }

  @AfterEach
  void gone() {
    gateway.close();
  }

  private EgressSessionServiceGrpc.EgressSessionServiceBlockingStub sessions(String token) {
    return sessions(broker.tenant(token));
  }

  private static EgressSessionServiceGrpc.EgressSessionServiceBlockingStub sessions(
      Channel channel) {
    return EgressSessionServiceGrpc.newBlockingStub(channel)
        .withDeadlineAfter(TestBroker.PATIENCE_S, TimeUnit.SECONDS);
  }

  private static CreateEgressSessionRequest wanted(String... secrets) {
    CreateEgressSessionRequest.Builder request =
        CreateEgressSessionRequest.newBuilder().setEgressPolicy(policy(HOST));
    for (String secret : secrets) {
      request.addSecrets(SecretReference.newBuilder().setSecret(secret));
    }
    return request.build();
  }

  /** With a secret of this name. */
  private CreateEgressSessionResponse created(String secret) {
    var _ =
        broker
            .secrets(broker.secretsToken("acme"))
            .putSecret(TestBroker.put(secret, VALUE).build());
    return sessions(apiToken).createEgressSession(wanted(secret));
  }

  private static MaterializeRequest request(
      Attachment attachment, CreateEgressSessionResponse session) {
    return MaterializeRequest.newBuilder()
        .setSandbox(attachment.getSandbox())
        .setSlotAddress(attachment.getSlotAddress())
        .setGeneration(attachment.getGeneration())
        .setRequest("00112233445566778899aabbccddeeff")
        .setHost(HOST)
        .setPort(443)
        .setMethod("GET")
        .setPath("/")
        .setTls(true)
        .addUses(
            use(session.getPlaceholdersMap().values().iterator().next(), "header:authorization"))
        .build();
  }

  private Attachment told(CreateEgressSessionResponse session) throws InterruptedException {
    return gateway
        .next(message -> message.getAttached().getSandbox().equals(session.getSession().getId()))
        .getAttached();
  }

  @Test
  void aSessionIsAttachedWhereAProxyIsAndGetsItsValues() throws Exception {
    CreateEgressSessionResponse session = created("session-key");

    assertThat(session.getProxiesList())
        .containsExactly(EgressProxy.newBuilder().setAddress(PROXY).build());
    assertThat(session.getPlaceholdersMap()).containsOnlyKeys("SESSION_KEY");
    assertThat(session.getProxyToken()).matches("cfp_[0-9A-Za-z]{43}");
    assertThat(session.getCaCertificate()).startsWith("-----BEGIN CERTIFICATE-----");
    Attachment attachment = told(session);
    assertThat(attachment.getProxyTokenSha256().toByteArray())
        .isEqualTo(TokenHashes.sha256(session.getProxyToken()));
    assertThat(attachment.toString()).doesNotContain(session.getProxyToken());
    assertThat(attachment.getSlotAddress()).startsWith("100:0:0:0:");
    assertThat(TestBroker.texts(broker.gateway("gp").materialize(request(attachment, session))))
        .containsExactly(VALUE);
    assertThat(broker.events(apiToken))
        .filteredOn(event -> event.getSandbox().equals(session.getSession().getId()))
        .extracting(AuditEvent::getSecret)
        .contains("session-key");
  }

  @Test
  void aDeletedSessionHasNoValuesAndIsToldToTheGateway() throws Exception {
    CreateEgressSessionResponse session = created("session-deleted");
    Attachment attachment = told(session);
    String id = session.getSession().getId();
    String stranger = broker.apiToken("other");
    var _ = sessions(stranger).deleteEgressSession(delete(id));
    assertThat(TestBroker.texts(broker.gateway("gp").materialize(request(attachment, session))))
        .containsExactly(VALUE);

    var _ = sessions(apiToken).deleteEgressSession(delete(id));
    var _ = sessions(apiToken).deleteEgressSession(delete(id));
    assertEgressRefused(
        () -> broker.gateway("gp").materialize(request(attachment, session)),
        EgressReason.EGRESS_REASON_GRANT_REVOKED);
    var _ = gateway.next(message -> message.getDetached().equals(id));
  }

  private static DeleteEgressSessionRequest delete(String id) {
    return DeleteEgressSessionRequest.newBuilder().setSession(id).build();
  }

  private static ExtendEgressSessionRequest extend(String id, long seconds) {
    return ExtendEgressSessionRequest.newBuilder()
        .setSession(id)
        .setLifetime(Duration.newBuilder().setSeconds(seconds))
        .build();
  }

  @Test
  void aSessionEndsByItselfUnlessThatIsPutOff() throws Exception {
    CreateEgressSessionResponse session = created("session-expiring");
    Attachment attachment = told(session);
    String id = session.getSession().getId();
    assertThat(
            session.getSession().getExpireTime().getSeconds()
                - session.getSession().getCreateTime().getSeconds())
        .isEqualTo(3600);
    assertRefused(
        () -> sessions(broker.apiToken("other")).extendEgressSession(extend(id, 60)),
        Status.Code.NOT_FOUND,
        ErrorReason.ERROR_REASON_SANDBOX_NOT_FOUND);
    var _ = sessions(apiToken).extendEgressSession(extend(id, 7200));
    broker.clock.advance(java.time.Duration.ofSeconds(3700));
    assertThat(TestBroker.texts(broker.gateway("gp").materialize(request(attachment, session))))
        .containsExactly(VALUE);

    broker.clock.advance(java.time.Duration.ofSeconds(3500));
    assertEgressRefused(
        () -> broker.gateway("gp").materialize(request(attachment, session)),
        EgressReason.EGRESS_REASON_GRANT_REVOKED);
    assertRefused(
        () -> sessions(apiToken).extendEgressSession(extend(id, 60)),
        Status.Code.NOT_FOUND,
        ErrorReason.ERROR_REASON_SANDBOX_NOT_FOUND);
    var _ = gateway.next(message -> message.getDetached().equals(id));
  }

  /** A scheduler that was taken over, with a tenant's token, on a node of the attacker's. */
  @Test
  void theSchedulerCanMakeNothingOfASession() throws Exception {
    CreateEgressSessionResponse session = created("session-wanted");
    Attachment attachment = told(session);
    String id = session.getSession().getId();

    assertRefused(
        () ->
            broker
                .scheduler("")
                .issueTicket(
                    IssueTicketRequest.newBuilder()
                        .setSandbox(id)
                        .setNode("n1")
                        .setEpoch(9)
                        .build()),
        Status.Code.NOT_FOUND,
        ErrorReason.ERROR_REASON_SANDBOX_NOT_FOUND);
    CreateGrantsRequest grants = TestBroker.grants(id, "session-wanted");
    assertRefused(
        () -> broker.scheduler(apiToken).createGrants(grants),
        Status.Code.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_INVALID_ARGUMENT);
    assertRefused(
        () ->
            broker
                .scheduler(apiToken)
                .createGrants(
                    TestBroker.grants(broker.newSandbox(), "session-wanted").toBuilder()
                        .setOrigin(GrantOrigin.newBuilder().setSandbox(id).setGeneration(1))
                        .build()),
        Status.Code.NOT_FOUND,
        ErrorReason.ERROR_REASON_SANDBOX_NOT_FOUND);
    assertRefused(
        () ->
            broker
                .scheduler(apiToken)
                .updatePolicy(
                    UpdatePolicyRequest.newBuilder()
                        .setSandbox(id)
                        .setPolicy(policy("evil.example.com"))
                        .build()),
        Status.Code.NOT_FOUND,
        ErrorReason.ERROR_REASON_SANDBOX_NOT_FOUND);
    var _ =
        broker.scheduler("").revokeGrants(RevokeGrantsRequest.newBuilder().setSandbox(id).build());
    assertThat(TestBroker.texts(broker.gateway("gp").materialize(request(attachment, session))))
        .containsExactly(VALUE);
    // Not at a gateway where it is not attached, with whatever address.
    assertEgressRefused(
        () -> broker.gateway("g-foreign").materialize(request(attachment, session)),
        EgressReason.EGRESS_REASON_UNKNOWN_SLOT);
  }

  @Test
  void whoMayHaveOne() {
    String noUse = broker.token("acme", "sandboxes:write");
    assertThat(sessions(noUse).createEgressSession(wanted()).getSession().getId())
        .matches("es-[0-9a-z]{20}");
    assertRefused(
        () -> sessions(noUse).createEgressSession(wanted("session-key")),
        Status.Code.PERMISSION_DENIED,
        ErrorReason.ERROR_REASON_SCOPE_MISSING);
    assertRefused(
        () -> sessions(broker.token("acme", "secrets:use")).createEgressSession(wanted()),
        Status.Code.PERMISSION_DENIED,
        ErrorReason.ERROR_REASON_SCOPE_MISSING);
    // With a token that passed through it.
    assertRefused(
        () ->
            sessions(
                    TestBroker.bearing(
                        broker.peer("scheduler-svc", "s1", broker.app().tenantPort()), apiToken))
                .createEgressSession(wanted()),
        Status.Code.PERMISSION_DENIED,
        ErrorReason.ERROR_REASON_THROUGH_SCHEDULER);
    for (long seconds : new long[] {9, 86_401, -1}) {
      assertRefused(
          () ->
              sessions(apiToken)
                  .createEgressSession(
                      wanted().toBuilder()
                          .setLifetime(Duration.newBuilder().setSeconds(seconds))
                          .build()),
          Status.Code.INVALID_ARGUMENT,
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT);
    }
    assertRefused(
        () -> sessions(apiToken).createEgressSession(wanted("session-nowhere")),
        Status.Code.NOT_FOUND,
        ErrorReason.ERROR_REASON_SECRET_NOT_FOUND);
  }

  @Test
  void withoutAProxyThereIsNone() throws Exception {
    gateway.close();
    try (Gateway plain = new Gateway(broker, "gp", "")) {
      var _ = plain.next(SyncAttachmentsResponse::hasSynchronized);
      assertRefused(
          () -> sessions(apiToken).createEgressSession(wanted()),
          Status.Code.UNAVAILABLE,
          ErrorReason.ERROR_REASON_GATEWAY_UNAVAILABLE);
    }
  }
}
