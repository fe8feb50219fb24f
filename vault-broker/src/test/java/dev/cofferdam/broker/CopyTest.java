package dev.cofferdam.broker;

import static dev.cofferdam.broker.Refused.assertEgressRefused;
import static dev.cofferdam.broker.Refused.assertRefused;
import static dev.cofferdam.broker.TestBroker.HOST;
import static dev.cofferdam.broker.TestBroker.VALUE;
import static dev.cofferdam.broker.TestBroker.grants;
import static dev.cofferdam.broker.TestBroker.put;
import static dev.cofferdam.broker.TestBroker.redeem;
import static dev.cofferdam.broker.TestBroker.use;
import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.broker.TestBroker.Attached;
import dev.cofferdam.internal.v1.Attachment;
import dev.cofferdam.internal.v1.CreateGrantsRequest;
import dev.cofferdam.internal.v1.CreateGrantsResponse;
import dev.cofferdam.internal.v1.GrantOrigin;
import dev.cofferdam.internal.v1.MaterializeRequest;
import dev.cofferdam.internal.v1.RevokeGrantsRequest;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.AuditEventType;
import dev.cofferdam.v1.DeleteSecretRequest;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.ForkMode;
import dev.cofferdam.v1.NarrowSecretRequest;
import dev.cofferdam.v1.SecretBinding;
import dev.cofferdam.v1.SecretReference;
import dev.cofferdam.v1.Verdict;
import io.grpc.Status;
import java.util.List;
import org.junit.jupiter.api.Test;

/**
 * Forks and sandboxes made from snapshots: what of the placeholders in their memory still works.
 */
class CopyTest extends BrokerTest {
  /** A sandbox and all that is known of it. */
  private record Copy(Attached own, CreateGrantsResponse granted, Attachment told) {
    MaterializeRequest by(String placeholder) {
      return own.request().clearUses().addUses(use(placeholder, "header:authorization")).build();
    }
  }

  private static GrantOrigin origin(Attached of) {
    return GrantOrigin.newBuilder().setSandbox(of.sandbox()).setGeneration(of.generation()).build();
  }

  /** A sandbox with a secret of its own that copies inherit. */
  private Attached original(String secret) {
    String secretsToken = broker.secretsToken("acme");
    var _ =
        broker
            .secrets(secretsToken)
            .putSecret(put(secret, VALUE).setForkMode(ForkMode.FORK_MODE_INHERIT).build());
    return broker.attached(secret, broker.apiToken("acme"), secretsToken, "g1", broker.nextSlot());
  }

  private Copy copy(Attached origin, String... secrets) {
    return attach(
        origin, grants(broker.newSandbox(), secrets).toBuilder().setOrigin(origin(origin)).build());
  }

  private Copy attach(Attached of, CreateGrantsRequest request) {
    CreateGrantsResponse granted = broker.scheduler(of.apiToken()).createGrants(request);
    String slot = broker.nextSlot();
    Attachment told = broker.gateway("g1").redeemTicket(redeem(granted.getAttachTicket(), slot));
    String placeholder =
        granted.getPlaceholdersCount() == 0 ? "" : granted.getPlaceholders(0).getPlaceholder();
    return new Copy(
        new Attached(
            request.getSandbox(),
            slot,
            granted.getGeneration(),
            placeholder,
            of.apiToken(),
            of.secretsToken()),
        granted,
        told);
  }

  private void assertWorks(MaterializeRequest request) {
    assertThat(TestBroker.texts(broker.gateway("g1").materialize(request))).containsOnly(VALUE);
  }

  private void assertDenied(MaterializeRequest request, EgressReason reason) {
    assertEgressRefused(() -> broker.gateway("g1").materialize(request), reason);
  }

  private void assertForeign(MaterializeRequest request) {
    assertDenied(request, EgressReason.EGRESS_REASON_PLACEHOLDER_FOREIGN);
  }

  private void revoke(Attached sandbox) {
    var _ =
        broker
            .scheduler("")
            .revokeGrants(RevokeGrantsRequest.newBuilder().setSandbox(sandbox.sandbox()).build());
  }

  private List<AuditEvent> events(Attached of, AuditEventType type) {
    return broker.events(of.apiToken()).stream()
        .filter(event -> event.getSandbox().equals(of.sandbox()) && event.getType() == type)
        .toList();
  }

  @Test
  void aCopyHasItsOwnPlaceholderAndAnswersToTheInheritedOneUnderTheSameRoot() {
    Attached original = original("inherited");
    Copy copy = copy(original, "inherited");
    assertThat(copy.own().placeholder()).isNotEqualTo(original.placeholder());
    assertThat(copy.granted().getGeneration()).isEqualTo(1);
    assertThat(copy.told().getLineage()).startsWith("ln-");
    assertThat(copy.told().getSecrets(0).getInheritedSha256List())
        .containsExactly(use(original.placeholder(), "x").getPlaceholderSha256());
    assertWorks(copy.by(copy.own().placeholder()));
    assertWorks(copy.by(original.placeholder()));
    assertWorks(original.request().build());
    assertThat(events(copy.own(), AuditEventType.AUDIT_EVENT_TYPE_USE))
        .extracting(AuditEvent::getMessage)
        .containsExactly("", "by an inherited placeholder");
    assertThat(events(copy.own(), AuditEventType.AUDIT_EVENT_TYPE_CHANGE))
        .extracting(AuditEvent::getMessage)
        .contains("granted as $INHERITED, answers to 1 inherited from " + original.sandbox());
  }

  @Test
  void aCopyJoinsTheLineageAndTrustsTheSameRoot() {
    Attached original = original("root");
    Copy first = copy(original, "root");
    Copy second = copy(first.own());
    Copy stranger = attach(original, grants(broker.newSandbox()));
    assertThat(second.told().getLineage()).isEqualTo(first.told().getLineage());
    assertThat(second.granted().getCaCertificate()).isEqualTo(first.granted().getCaCertificate());
    assertThat(stranger.told().getLineage()).isNotEqualTo(first.told().getLineage());
  }

  @Test
  void droppedOnesAreForeignInTheCopyAndOnRecord() {
    Attached original = broker.attached("dropped");
    Copy copy = copy(original, "dropped");
    assertThat(copy.told().getSecrets(0).getInheritedSha256List()).isEmpty();
    assertForeign(copy.by(original.placeholder()));
    assertWorks(copy.by(copy.own().placeholder()));
    AuditEvent denial = events(copy.own(), AuditEventType.AUDIT_EVENT_TYPE_USE).getFirst();
    assertThat(denial.getVerdict()).isEqualTo(Verdict.VERDICT_DENIED);
    assertThat(denial.getReason()).isEqualTo(EgressReason.EGRESS_REASON_PLACEHOLDER_FOREIGN);
    assertThat(denial.getSecret()).isEmpty();
  }

  @Test
  void whatTheCopyDoesNotAskForIsNotInherited() {
    Attached original = original("asked-for");
    var _ =
        broker
            .secrets(original.secretsToken())
            .putSecret(put("other", VALUE).setForkMode(ForkMode.FORK_MODE_INHERIT).build());
    assertForeign(copy(original).by(original.placeholder()));
    assertForeign(copy(original, "other").by(original.placeholder()));
  }

  @Test
  void aCopyOfACopyInheritsTheWholeChainAndASiblingNothing() {
    Attached original = original("chain");
    Copy child = copy(original, "chain");
    Copy sibling = copy(original, "chain");
    Copy grandchild = copy(child.own(), "chain");
    assertWorks(grandchild.by(original.placeholder()));
    assertWorks(grandchild.by(child.own().placeholder()));
    assertForeign(grandchild.by(sibling.own().placeholder()));
    assertForeign(sibling.by(child.own().placeholder()));
    assertForeign(child.by(grandchild.own().placeholder()));
    assertForeign(
        original
            .request()
            .clearUses()
            .addUses(use(child.own().placeholder(), "header:authorization"))
            .build());
  }

  @Test
  void eachEndsByItself() {
    Attached original = original("ends");
    Copy first = copy(original, "ends");
    Copy second = copy(original, "ends");
    revoke(first.own());
    assertDenied(first.by(original.placeholder()), EgressReason.EGRESS_REASON_GRANT_REVOKED);
    assertWorks(second.by(original.placeholder()));
    assertWorks(original.request().build());
    revoke(original);
    assertDenied(original.request().build(), EgressReason.EGRESS_REASON_GRANT_REVOKED);
    assertWorks(second.by(original.placeholder()));
    assertWorks(copy(original, "ends").by(original.placeholder()));
  }

  @Test
  void theOtherVariableOfTheSameSecretIsNotMistaken() {
    Attached original = original("twice");
    CreateGrantsRequest.Builder request =
        grants(broker.newSandbox()).toBuilder()
            .addSecrets(SecretReference.newBuilder().setSecret("twice").setEnv("OTHER"))
            .addSecrets(SecretReference.newBuilder().setSecret("twice"))
            .setOrigin(origin(original));
    Attachment told = attach(original, request.build()).told();
    assertThat(told.getSecretsList())
        .filteredOn(secret -> secret.getInheritedSha256Count() > 0)
        .hasSize(1);
    Copy renamed =
        attach(
            original,
            grants(broker.newSandbox()).toBuilder()
                .addSecrets(SecretReference.newBuilder().setSecret("twice").setEnv("RENAMED"))
                .setOrigin(origin(original))
                .build());
    assertWorks(renamed.by(original.placeholder()));
  }

  @Test
  void anotherTenantsSandboxOrLineageIsNoOrigin() {
    Attached original = original("theirs");
    String mallory = broker.apiToken("mallory");
    CreateGrantsRequest request =
        grants(broker.newSandbox()).toBuilder().setOrigin(origin(original)).build();
    assertRefused(
        () -> broker.scheduler(mallory).createGrants(request),
        Status.Code.NOT_FOUND,
        ErrorReason.ERROR_REASON_SANDBOX_NOT_FOUND);
    Copy stranger = attach(original, grants(broker.newSandbox(), "theirs"));
    assertRefused(
        () ->
            broker
                .scheduler(original.apiToken())
                .createGrants(
                    grants(stranger.own().sandbox(), "theirs").toBuilder()
                        .setOrigin(origin(original))
                        .build()),
        Status.Code.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_INVALID_ARGUMENT);
    assertForeign(stranger.by(original.placeholder()));
  }

  @Test
  void aForgedGenerationAndACopyOfItselfAreRefused() {
    Attached original = original("forged");
    for (long generation : new long[] {0, 2, -1, Long.MAX_VALUE}) {
      assertRefused(
          () ->
              broker
                  .scheduler(original.apiToken())
                  .createGrants(
                      grants(broker.newSandbox(), "forged").toBuilder()
                          .setOrigin(origin(original).toBuilder().setGeneration(generation))
                          .build()),
          Status.Code.INVALID_ARGUMENT,
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT);
    }
    // Its own former placeholders, which a repeat put out of use, would come back so.
    assertRefused(
        () ->
            broker
                .scheduler(original.apiToken())
                .createGrants(
                    grants(original.sandbox(), "forged").toBuilder()
                        .setOrigin(origin(original))
                        .build()),
        Status.Code.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_INVALID_ARGUMENT);
    assertWorks(original.request().build());
  }

  @Test
  void onlyThePlaceholdersOfTheGenerationThatWasCopiedAreInherited() {
    Attached first = original("generations");
    Copy second = attach(first, grants(first.sandbox(), "generations"));
    assertThat(second.own().generation()).isEqualTo(2);
    Copy ofFirst = copy(first, "generations");
    assertWorks(ofFirst.by(first.placeholder()));
    assertForeign(ofFirst.by(second.own().placeholder()));
    Copy ofSecond = copy(second.own(), "generations");
    assertWorks(ofSecond.by(second.own().placeholder()));
    assertForeign(ofSecond.by(first.placeholder()));
  }

  @Test
  void aRepeatedCreateReplacesTheCopysOwnAndKeepsWhatIsInherited() {
    Attached original = original("repeated");
    Copy first = copy(original, "repeated");
    Copy second =
        attach(
            original,
            grants(first.own().sandbox(), "repeated").toBuilder()
                .setOrigin(origin(original))
                .build());
    assertThat(second.own().generation()).isEqualTo(2);
    assertThat(second.told().getLineage()).isEqualTo(first.told().getLineage());
    assertWorks(second.by(original.placeholder()));
    assertForeign(second.by(first.own().placeholder()));
    assertDenied(first.by(original.placeholder()), EgressReason.EGRESS_REASON_UNKNOWN_SLOT);
    // Without an origin it is the copy's own affair again.
    Copy third = attach(original, grants(first.own().sandbox(), "repeated"));
    assertForeign(third.by(original.placeholder()));
  }

  @Test
  void aDeletedSecretIsDeadInCopiesAndItsSuccessorInheritsNothing() {
    Attached original = original("deleted");
    Copy copy = copy(original, "deleted");
    var secrets = broker.secrets(original.secretsToken());
    var _ = secrets.deleteSecret(DeleteSecretRequest.newBuilder().setName("deleted").build());
    assertDenied(copy.by(original.placeholder()), EgressReason.EGRESS_REASON_GRANT_REVOKED);
    var _ =
        secrets.putSecret(put("deleted", VALUE).setForkMode(ForkMode.FORK_MODE_INHERIT).build());
    assertDenied(copy.by(original.placeholder()), EgressReason.EGRESS_REASON_GRANT_REVOKED);
    assertForeign(copy(original, "deleted").by(original.placeholder()));
  }

  @Test
  void bindingsAndValueAreThePresentOnes() {
    Attached original = original("rebound");
    Copy copy = copy(original, "rebound");
    var _ =
        broker
            .secrets(original.secretsToken())
            .putSecret(
                put("rebound", VALUE + "-2")
                    .clearBindings()
                    .addBindings(SecretBinding.newBuilder().addHosts("other.example.com"))
                    .setForkMode(ForkMode.FORK_MODE_INHERIT)
                    .setReplace(true)
                    .build());
    assertDenied(
        copy.by(original.placeholder()), EgressReason.EGRESS_REASON_PLACEHOLDER_HOST_NOT_BOUND);
    MaterializeRequest there =
        copy.by(original.placeholder()).toBuilder().setHost("other.example.com").build();
    assertThat(TestBroker.texts(broker.gateway("g1").materialize(there)))
        .containsExactly(VALUE + "-2");
  }

  @Test
  void narrowedToDropInheritedOnesAreDeadAtOnceAndForGood() {
    Attached original = original("narrowed");
    Copy copy = copy(original, "narrowed");
    Copy grandchild = copy(copy.own(), "narrowed");
    revoke(copy.own());
    var secrets = broker.secrets(original.secretsToken());
    NarrowSecretRequest.Builder narrow = NarrowSecretRequest.newBuilder().setName("narrowed");
    assertThat(
            secrets.narrowSecret(narrow.setForkMode(ForkMode.FORK_MODE_DROP).build()).getForkMode())
        .isEqualTo(ForkMode.FORK_MODE_DROP);
    assertForeign(grandchild.by(original.placeholder()));
    assertWorks(grandchild.by(grandchild.own().placeholder()));
    assertWorks(original.request().build());
    assertForeign(copy(original, "narrowed").by(original.placeholder()));
    assertRefused(
        () -> secrets.narrowSecret(narrow.setForkMode(ForkMode.FORK_MODE_INHERIT).build()),
        Status.Code.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_BINDING_WIDENED);
    // The value again widens what is copied from then on, and revives nothing.
    var _ =
        secrets.putSecret(
            put("narrowed", VALUE)
                .setForkMode(ForkMode.FORK_MODE_INHERIT)
                .setReplace(true)
                .build());
    assertForeign(grandchild.by(original.placeholder()));
    assertForeign(copy(copy.own(), "narrowed").by(original.placeholder()));
    assertWorks(copy(original, "narrowed").by(original.placeholder()));
  }

  @Test
  void aNewValueLeavesTheModeAsItIsAndAReplacementWithoutOneDrops() {
    Attached original = original("modes");
    Copy copy = copy(original, "modes");
    var secrets = broker.secrets(original.secretsToken());
    var _ =
        secrets.rotateSecret(
            dev.cofferdam.v1.RotateSecretRequest.newBuilder()
                .setName("modes")
                .setValue(com.google.protobuf.ByteString.copyFromUtf8(VALUE))
                .build());
    assertWorks(copy.by(original.placeholder()));
    assertThat(secrets.putSecret(put("modes", VALUE).setReplace(true).build()).getForkMode())
        .isEqualTo(ForkMode.FORK_MODE_DROP);
    assertForeign(copy.by(original.placeholder()));
  }

  /** The cap is on the value in one place, by whatever name. */
  @Test
  void theOldAndTheNewPlaceholderTogetherAreUnderOneCap() {
    Attached original = original("capped");
    Copy copy = copy(original, "capped");
    MaterializeRequest both =
        copy.by(original.placeholder()).toBuilder()
            .addUses(use(copy.own().placeholder(), "header:authorization"))
            .build();
    assertDenied(both, EgressReason.EGRESS_REASON_PLACEHOLDER_TOO_OFTEN);
    MaterializeRequest apart =
        copy.by(original.placeholder()).toBuilder()
            .addUses(use(copy.own().placeholder(), "header:x-api-key"))
            .build();
    assertThat(TestBroker.texts(broker.gateway("g1").materialize(apart)))
        .containsExactly(VALUE, VALUE);
    assertWorks(original.request().setHost(HOST).build());
  }

  @Test
  void aChainThatIsTooLongIsRefusedAndTheLastOneThatWasNotWorks() {
    Attached original = original("long");
    Attached last = original;
    for (int i = 0; i < 256; i++) {
      String sandbox = broker.newSandbox();
      CreateGrantsResponse granted =
          broker
              .scheduler(original.apiToken())
              .createGrants(grants(sandbox, "long").toBuilder().setOrigin(origin(last)).build());
      last =
          new Attached(
              sandbox,
              "",
              1,
              granted.getPlaceholders(0).getPlaceholder(),
              original.apiToken(),
              original.secretsToken());
    }
    Attached longest = last;
    assertRefused(
        () -> copy(longest, "long"),
        Status.Code.RESOURCE_EXHAUSTED,
        ErrorReason.ERROR_REASON_QUOTA_EXCEEDED);
    assertThat(copy(longest).told().getSecretsList()).isEmpty();
  }
}
