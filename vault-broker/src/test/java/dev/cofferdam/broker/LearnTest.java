package dev.cofferdam.broker;

import static dev.cofferdam.broker.Refused.assertEgressRefused;
import static dev.cofferdam.broker.Refused.assertRefused;
import static dev.cofferdam.broker.TestBroker.VALUE;
import static dev.cofferdam.broker.TestBroker.put;
import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.broker.TestBroker.Attached;
import dev.cofferdam.internal.v1.CreateGrantsResponse;
import dev.cofferdam.internal.v1.GetPolicyRequest;
import dev.cofferdam.internal.v1.RevokeGrantsRequest;
import dev.cofferdam.internal.v1.UpdatePolicyRequest;
import dev.cofferdam.testkit.TestPostgres;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.PolicyMode;
import dev.cofferdam.v1.PolicyProposal;
import dev.cofferdam.v1.ProposePolicyRequest;
import io.grpc.Status;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Mode LEARN as the broker keeps it. */
class LearnTest extends BrokerTest {
  private static final EgressPolicy LEARN =
      EgressPolicy.newBuilder()
          .setMode(PolicyMode.POLICY_MODE_LEARN)
          .addRules(EgressRule.newBuilder().setHost("api.example.com"))
          .build();

  private Attached learning(TestBroker at, String secret) {
    String owner = at.secretsToken("acme");
    var _ = at.secrets(owner).putSecret(put(secret, VALUE).build());
    String token = at.apiToken("acme");
    String slot = at.nextSlot();
    CreateGrantsResponse granted =
        at.scheduler(token)
            .createGrants(
                TestBroker.grants(at.newSandbox(), secret).toBuilder().setPolicy(LEARN).build());
    String sandbox = at.lastSandbox();
    var _ = at.gateway("g1").redeemTicket(TestBroker.redeem(granted.getAttachTicket(), slot));
    return new Attached(
        sandbox,
        slot,
        granted.getGeneration(),
        granted.getPlaceholders(0).getPlaceholder(),
        token,
        owner);
  }

  private static void update(TestBroker at, Attached attached, EgressPolicy policy) {
    var _ =
        at.scheduler(attached.apiToken())
            .updatePolicy(
                UpdatePolicyRequest.newBuilder()
                    .setSandbox(attached.sandbox())
                    .setPolicy(policy)
                    .build());
  }

  private static EgressPolicy policy(TestBroker at, Attached attached) {
    return at.scheduler(attached.apiToken())
        .getPolicy(GetPolicyRequest.newBuilder().setSandbox(attached.sandbox()).build())
        .getPolicy();
  }

  /** Whatever a gateway asks for: it may be another than the one that was told to learn. */
  @Test
  void noSecretIsHandedOutWhileASandboxLearns() {
    Attached attached = learning(broker, "learning");

    assertEgressRefused(
        () -> broker.gateway("g1").materialize(attached.request().build()),
        EgressReason.EGRESS_REASON_LEARNING);
  }

  @Test
  void nothingIsPassedThroughWhileASandboxLearns() {
    Attached attached = learning(broker, "passing");
    for (EgressPolicy refused :
        List.of(
            LEARN.toBuilder()
                .addRules(EgressRule.newBuilder().setHost("x.example.com").setPassthrough(true))
                .build(),
            LEARN.toBuilder()
                .addRules(EgressRule.newBuilder().setCidr("203.0.113.0/24").addPorts(22))
                .build(),
            LEARN.toBuilder().setModeValue(77).build())) {
      assertRefused(
          () -> update(broker, attached, refused),
          Status.Code.INVALID_ARGUMENT,
          ErrorReason.ERROR_REASON_POLICY_INVALID);
    }
    assertThat(policy(broker, attached)).isEqualTo(LEARN);
  }

  @Test
  void aProposalIsOfTheTenantsOwnSandboxAlsoAfterItsEnd() {
    Attached attached = learning(broker, "proposed");
    ProposePolicyRequest request =
        ProposePolicyRequest.newBuilder().setSandbox(attached.sandbox()).build();

    PolicyProposal proposal = broker.audit(attached.apiToken()).proposePolicy(request);

    assertThat(proposal.getPolicyRevision()).isEqualTo(1);
    assertThat(proposal.getPolicy())
        .isEqualTo(LEARN.toBuilder().setMode(PolicyMode.POLICY_MODE_ENFORCE).build());
    assertRefused(
        () -> broker.audit(broker.apiToken("other")).proposePolicy(request),
        Status.Code.NOT_FOUND,
        ErrorReason.ERROR_REASON_SANDBOX_NOT_FOUND);
    assertRefused(
        () -> broker.audit(broker.token("acme", "sandboxes:read")).proposePolicy(request),
        Status.Code.PERMISSION_DENIED,
        ErrorReason.ERROR_REASON_SCOPE_MISSING);

    var _ =
        broker
            .scheduler(attached.apiToken())
            .revokeGrants(RevokeGrantsRequest.newBuilder().setSandbox(attached.sandbox()).build());
    assertThat(broker.audit(attached.apiToken()).proposePolicy(request)).isEqualTo(proposal);
  }

  @Test
  void anOperatorThatForbidsItEndsItToo(@TempDir Path directory) throws Exception {
    Map<String, String> settings = new HashMap<>();
    try (TestPostgres own = TestPostgres.start();
        TestBroker other = new TestBroker(directory, own, settings)) {
      Attached attached = learning(other, "forbidden");
      settings.put("policy.learn", "forbidden");
      other.restart();

      assertThat(policy(other, attached))
          .isEqualTo(LEARN.toBuilder().setMode(PolicyMode.POLICY_MODE_ENFORCE).build());
      assertRefused(
          () -> update(other, attached, LEARN),
          Status.Code.PERMISSION_DENIED,
          ErrorReason.ERROR_REASON_LEARN_FORBIDDEN);
      assertRefused(
          () -> learning(other, "forbidden-too"),
          Status.Code.PERMISSION_DENIED,
          ErrorReason.ERROR_REASON_LEARN_FORBIDDEN);
    }
  }
}
