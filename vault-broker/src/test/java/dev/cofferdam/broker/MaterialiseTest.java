package dev.cofferdam.broker;

import static dev.cofferdam.broker.Refused.assertEgressRefused;
import static dev.cofferdam.broker.Refused.assertRefused;
import static dev.cofferdam.broker.Refused.egressReason;
import static dev.cofferdam.broker.TestBroker.VALUE;
import static dev.cofferdam.broker.TestBroker.put;
import static dev.cofferdam.broker.TestBroker.use;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.protobuf.ByteString;
import dev.cofferdam.broker.TestBroker.Attached;
import dev.cofferdam.internal.v1.AttachmentServiceGrpc;
import dev.cofferdam.internal.v1.CreateGrantsResponse;
import dev.cofferdam.internal.v1.DetachRequest;
import dev.cofferdam.internal.v1.MaterializeRequest;
import dev.cofferdam.internal.v1.RevokeGrantsRequest;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.AuditEventType;
import dev.cofferdam.v1.DeleteSecretRequest;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.NarrowSecretRequest;
import dev.cofferdam.v1.PutSecretRequest;
import dev.cofferdam.v1.RotateSecretRequest;
import dev.cofferdam.v1.SecretBinding;
import dev.cofferdam.v1.Verdict;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.sql.Connection;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** The one method that hands values out, and every reason for which it does not. */
class MaterialiseTest extends BrokerTest {
  private List<String> materialise(MaterializeRequest.Builder request) {
    return TestBroker.texts(broker.gateway("g1").materialize(request.build()));
  }

  private List<AuditEvent> uses(Attached attached) {
    return broker.events(attached.apiToken()).stream()
        .filter(event -> event.getType() == AuditEventType.AUDIT_EVENT_TYPE_USE)
        .filter(event -> event.getSandbox().equals(attached.sandbox()))
        .toList();
  }

  /** Refused for the reason, told to the gateway and on record, and nothing else on record. */
  private void assertDenied(
      Attached attached, MaterializeRequest.Builder request, EgressReason reason) {
    int before = uses(attached).size();
    assertEgressRefused(() -> materialise(request), reason);
    List<AuditEvent> added = uses(attached).subList(before, uses(attached).size());
    assertThat(added).hasSize(request.getUsesCount());
    assertThat(added)
        .allSatisfy(event -> {
          assertThat(event.getVerdict()).isEqualTo(Verdict.VERDICT_DENIED);
          assertThat(event.getReason()).isEqualTo(reason);
        });
  }

  @Test
  void severalValuesComeInTheOrderOfTheirUses() {
    String secrets = broker.secretsToken("order");
    var _ = broker.secrets(secrets).putSecret(put("one", VALUE + "-one").build());
    var _ = broker.secrets(secrets).putSecret(put("two", VALUE + "-two").build());
    String token = broker.apiToken("order");
    String slot = broker.nextSlot();
    String sandbox = broker.newSandbox();
    CreateGrantsResponse granted =
        broker.scheduler(token).createGrants(TestBroker.grants(sandbox, "one", "two"));
    var _ = broker.gateway("g1").redeemTicket(TestBroker.redeem(granted.getAttachTicket(), slot));
    String one = granted.getPlaceholders(0).getPlaceholder();
    String two = granted.getPlaceholders(1).getPlaceholder();
    Attached attached = new Attached(sandbox, slot, 1, one, token, secrets);
    assertThat(
            materialise(
                attached
                    .request()
                    .clearUses()
                    .addUses(use(two, "header:x-api-key"))
                    .addUses(use(one, "header:authorization"))
                    .addUses(use(two, "basic:password"))))
        .containsExactly(VALUE + "-two", VALUE + "-one", VALUE + "-two");
    assertThat(uses(attached))
        .extracting(AuditEvent::getSecret)
        .containsExactly("two", "one", "two");
  }

  @Test
  void outsideItsBindingAPlaceholderIsWorthNothing() {
    Attached attached = broker.attached("bound");
    assertDenied(
        attached,
        attached.request().setHost("b.example.com"),
        EgressReason.EGRESS_REASON_PLACEHOLDER_HOST_NOT_BOUND);
    assertDenied(
        attached,
        attached.request().setHost("evil-api.example.com"),
        EgressReason.EGRESS_REASON_PLACEHOLDER_HOST_NOT_BOUND);
    assertDenied(
        attached,
        attached.request().setTls(false),
        EgressReason.EGRESS_REASON_PLACEHOLDER_CLEARTEXT);
    for (String target :
        List.of("header:user-agent", "body", "query:key", "header:*", "header:host", "")) {
      assertDenied(
          attached,
          attached.request().clearUses().addUses(use(attached.placeholder(), target)),
          EgressReason.EGRESS_REASON_PLACEHOLDER_OUTSIDE_TARGET);
    }
    assertDenied(
        attached,
        attached
            .request()
            .clearUses()
            .addUses(
                use(attached.placeholder(), "header:authorization").toBuilder().setOccurrences(2)),
        EgressReason.EGRESS_REASON_PLACEHOLDER_TOO_OFTEN);
  }

  @Test
  void oneThatIsRefusedHoldsBackAllAndAllAreOnRecord() {
    Attached attached = broker.attached("all-or-none");
    assertDenied(
        attached,
        attached.request().addUses(use(attached.placeholder(), "header:user-agent")),
        EgressReason.EGRESS_REASON_PLACEHOLDER_OUTSIDE_TARGET);
  }

  @Test
  void anotherSandboxesPlaceholderIsForeignAndReportedWithoutItsSecretsName() {
    Attached mine = broker.attached("mine");
    Attached theirs = broker.attached("theirs");
    assertDenied(
        mine,
        mine.request().clearUses().addUses(use(theirs.placeholder(), "header:authorization")),
        EgressReason.EGRESS_REASON_PLACEHOLDER_FOREIGN);
    assertThat(uses(mine).getLast().getSecret()).isEmpty();
    assertThat(uses(theirs)).isEmpty();
    assertDenied(
        mine,
        mine.request()
            .clearUses()
            .addUses(use("cofferdam_" + "a".repeat(43), "header:authorization")),
        EgressReason.EGRESS_REASON_PLACEHOLDER_FOREIGN);
  }

  @Test
  void anotherSlotGatewayOrGenerationIsNotThisSandbox() {
    Attached attached = broker.attached("place");
    assertDenied(
        attached,
        attached.request().setSlotAddress(broker.nextSlot()),
        EgressReason.EGRESS_REASON_UNKNOWN_SLOT);
    assertDenied(
        attached, attached.request().setGeneration(2), EgressReason.EGRESS_REASON_UNKNOWN_SLOT);
    assertRefused(
        () -> broker.gateway("g2").materialize(attached.request().build()),
        Status.Code.NOT_FOUND,
        ErrorReason.ERROR_REASON_ATTACHMENT_NOT_FOUND);
    assertRefused(
        () -> materialise(attached.request().setSandbox("sb-never-was")),
        Status.Code.NOT_FOUND,
        ErrorReason.ERROR_REASON_ATTACHMENT_NOT_FOUND);
  }

  @Test
  void aPlaceholderIssuedAnewKillsTheOldOne() {
    Attached old = broker.attached("generation");
    var request = TestBroker.grants(old.sandbox(), "generation").toBuilder().setEpoch(1).build();
    CreateGrantsResponse again = broker.scheduler(old.apiToken()).createGrants(request);
    assertDenied(old, old.request(), EgressReason.EGRESS_REASON_UNKNOWN_SLOT);
    var _ =
        broker.gateway("g1").redeemTicket(TestBroker.redeem(again.getAttachTicket(), old.slot()));
    assertDenied(
        old, old.request().setGeneration(2), EgressReason.EGRESS_REASON_PLACEHOLDER_FOREIGN);
  }

  @Test
  void detachedMeansNoMore() {
    Attached attached = broker.attached("detached");
    var detach = DetachRequest.newBuilder().setSandbox(attached.sandbox()).setNode("n1");
    var _ = broker.gateway("g2").detach(detach.setEpoch(1).build());
    var _ = broker.gateway("g1").detach(detach.setEpoch(0).build());
    var _ = broker.gateway("g1").detach(detach.setEpoch(1).setNode("n2").build());
    assertThat(materialise(attached.request())).as("none of these ends it").hasSize(1);
    var _ = broker.gateway("g1").detach(detach.setEpoch(1).setNode("n1").build());
    var _ = broker.gateway("g1").detach(detach.build());
    assertDenied(attached, attached.request(), EgressReason.EGRESS_REASON_UNKNOWN_SLOT);
  }

  @Test
  void aSlotHoldsOneSandbox() {
    Attached first = broker.attached("slot-first");
    Attached second =
        broker.attached("slot-first", first.apiToken(), first.secretsToken(), "g1", first.slot());
    assertThat(materialise(second.request())).containsExactly(VALUE);
    assertDenied(first, first.request(), EgressReason.EGRESS_REASON_UNKNOWN_SLOT);
  }

  @Test
  void rotationIsInForceWithItsAnswerAndKeepsThePlaceholder() {
    Attached attached = broker.attached("rotated");
    assertThat(materialise(attached.request())).containsExactly(VALUE);
    for (int version = 2; version <= 5; version++) {
      var _ =
          broker
              .secrets(attached.secretsToken())
              .rotateSecret(
                  RotateSecretRequest.newBuilder()
                      .setName("rotated")
                      .setValue(ByteString.copyFromUtf8(VALUE + version))
                      .build());
      assertThat(materialise(attached.request())).containsExactly(VALUE + version);
    }
  }

  @Test
  void narrowingIsInForceWithItsAnswer() {
    Attached attached = broker.attached("narrowed");
    assertThat(materialise(attached.request())).hasSize(1);
    var _ =
        broker
            .secrets(attached.secretsToken())
            .narrowSecret(
                NarrowSecretRequest.newBuilder()
                    .setName("narrowed")
                    .addBindings(
                        SecretBinding.newBuilder()
                            .addHosts(TestBroker.HOST)
                            .addTargets("header:x-api-key"))
                    .build());
    assertDenied(
        attached, attached.request(), EgressReason.EGRESS_REASON_PLACEHOLDER_OUTSIDE_TARGET);
  }

  @Test
  void aMessageOfAWebSocketIsAUseOfItsOwn() {
    Attached attached = broker.attached("in-messages");
    MaterializeRequest.Builder message =
        attached
            .request()
            .clearUses()
            .addUses(TestBroker.use(attached.placeholder(), "websocket-frame"));
    assertDenied(attached, message, EgressReason.EGRESS_REASON_PLACEHOLDER_OUTSIDE_TARGET);
    Attached bound = boundTo("websocket-frame");
    message =
        bound.request().clearUses().addUses(TestBroker.use(bound.placeholder(), "websocket-frame"));
    assertThat(materialise(message)).containsExactly(VALUE);
    // Each message of a connection is asked for by itself, with the id of its request.
    assertThat(materialise(message)).containsExactly(VALUE);
    assertThat(uses(bound))
        .extracting(AuditEvent::getTarget)
        .containsExactly("websocket-frame", "websocket-frame");
    assertDenied(bound, bound.request(), EgressReason.EGRESS_REASON_PLACEHOLDER_OUTSIDE_TARGET);
  }

  private Attached boundTo(String target) {
    String secrets = broker.secretsToken("acme");
    var _ =
        broker
            .secrets(secrets)
            .putSecret(
                PutSecretRequest.newBuilder()
                    .setName("bound-to-messages")
                    .setValue(ByteString.copyFromUtf8(VALUE))
                    .addBindings(
                        SecretBinding.newBuilder().addHosts(TestBroker.HOST).addTargets(target))
                    .build());
    return broker.attached(
        "bound-to-messages", broker.apiToken("acme"), secrets, "g1", broker.nextSlot());
  }

  @Test
  void aDeletedSecretIsRevokedEverywhereAndGoneFromTheDatabase() throws Exception {
    Attached attached = broker.attached("deleted");
    assertThat(materialise(attached.request())).hasSize(1);
    var _ =
        broker
            .secrets(attached.secretsToken())
            .deleteSecret(DeleteSecretRequest.newBuilder().setName("deleted").build());
    assertDenied(attached, attached.request(), EgressReason.EGRESS_REASON_GRANT_REVOKED);
    try (Connection connection = broker.database.connect();
        Statement statement = connection.createStatement();
        var rows =
            statement.executeQuery("select count(*) from sealed_value where name = 'deleted'")) {
      rows.next();
      assertThat(rows.getInt(1)).isZero();
    }
  }

  @Test
  void aStoreThatIsDownIsToldAndTheRecordSaysSo() throws Exception {
    Attached attached = broker.attached("store-down");
    assertThat(materialise(attached.request())).hasSize(1);
    try (Connection connection = broker.database.connect();
        Statement statement = connection.createStatement()) {
      statement.execute("update sealed_value set ciphertext = '\\x00' where name = 'store-down'");
    }
    assertThat(materialise(attached.request())).as("cached").hasSize(1);
    broker.clock.advance(Duration.ofSeconds(30));
    assertRefused(
        () -> materialise(attached.request()),
        Status.Code.UNAVAILABLE,
        ErrorReason.ERROR_REASON_STORE_UNAVAILABLE);
    assertThat(uses(attached))
        .extracting(AuditEvent::getReason)
        .containsExactly(
            EgressReason.EGRESS_REASON_UNSPECIFIED,
            EgressReason.EGRESS_REASON_UNSPECIFIED,
            EgressReason.EGRESS_REASON_UNSPECIFIED,
            EgressReason.EGRESS_REASON_STORE_UNAVAILABLE);
  }

  @Test
  void whatCannotBeARequestIsRefused() {
    Attached attached = broker.attached("nonsense");
    List<MaterializeRequest.Builder> bad =
        List.of(
            attached.request().clearUses(),
            attached
                .request()
                .addAllUses(
                    java.util.Collections.nCopies(
                        16, use(attached.placeholder(), "header:authorization"))),
            attached.request().setPort(0),
            attached.request().setHost(""),
            attached.request().setRequest("x".repeat(65)),
            attached
                .request()
                .setUses(0, use(attached.placeholder(), "x").toBuilder().setOccurrences(0)),
            attached
                .request()
                .setUses(
                    0,
                    use(attached.placeholder(), "x").toBuilder()
                        .setPlaceholderSha256(ByteString.copyFromUtf8("short"))));
    for (MaterializeRequest.Builder request : bad) {
      assertRefused(
          () -> materialise(request),
          Status.Code.INVALID_ARGUMENT,
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT);
    }
    assertThat(uses(attached)).isEmpty();
  }

  @Test
  void textThatNoDatabaseTakesIsStillOnRecord() {
    Attached attached = broker.attached("hostile");
    assertThat(
            materialise(
                attached
                    .request()
                    .setMethod("GET\0\r\nX: y")
                    .setPath("/a\0b\u0001?token=private")
                    .setRequest("\0\0")))
        .containsExactly(VALUE);
    AuditEvent use = uses(attached).getLast();
    assertThat(use.getPath()).isEqualTo("/a?b?");
    assertThat(use.getMethod()).isEqualTo("GET???X: y");
  }

  /**
   * Every value that was handed out has its use on record before the revocation, none after; and
   * nothing is handed out once the revocation was answered.
   */
  @Test
  void revocationIsExactAtCommitOverTwoBrokers() throws Exception {
    BrokerApp second = broker.another("b2");
    var gateways =
        List.of(
            broker.gateway("g1"),
            AttachmentServiceGrpc.newBlockingStub(
                broker.peer("egress-gateway", "g1", second.meshPort())));
    for (int round = 0; round < 5; round++) {
      Attached attached = broker.attached("revoked-" + round);
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
                    assertThat(egressReason(e)).isEqualTo("GRANT_REVOKED");
                    return null;
                  }
                }
              }));
        }
        assertThat(warm.await(TestBroker.PATIENCE_S, TimeUnit.SECONDS)).isTrue();
        var _ =
            broker
                .scheduler("")
                .revokeGrants(
                    RevokeGrantsRequest.newBuilder().setSandbox(attached.sandbox()).build());
        assertThatThrownBy(() -> gateways.get(1).materialize(attached.request().build()))
            .hasMessageContaining("GRANT_REVOKED");
        for (Future<?> caller : callers) {
          caller.get();
        }
      }
      List<AuditEvent> events =
          broker.events(attached.apiToken()).stream()
              .filter(event -> event.getSandbox().equals(attached.sandbox()))
              .toList();
      int revoked =
          events.stream().map(AuditEvent::getMessage).toList().indexOf("all grants revoked");
      assertThat(revoked).isPositive();
      assertThat(allowed(events.subList(0, revoked))).isEqualTo(handedOut.get());
      assertThat(allowed(events.subList(revoked, events.size()))).isZero();
    }
  }

  private static long allowed(List<AuditEvent> events) {
    return events.stream()
        .filter(event -> event.getType() == AuditEventType.AUDIT_EVENT_TYPE_USE)
        .filter(event -> event.getVerdict() == Verdict.VERDICT_ALLOWED)
        .count();
  }
}
