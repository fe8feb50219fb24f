package dev.cofferdam.scheduler;

import static dev.cofferdam.scheduler.Refused.assertRefused;
import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.Sandbox;
import dev.cofferdam.v1.UpdateSandboxPolicyRequest;
import io.grpc.Status;
import java.time.Duration;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;

/** Updates whose answer is lost: what is on record follows what the broker holds to. */
class PolicyUpdateTest extends MeshTest {
  private static final EgressPolicy POLICY =
      EgressPolicy.newBuilder().addRules(EgressRule.newBuilder().setHost("a.example")).build();

  @Test
  void aRevisionThatStandsWithoutOneGatewayIsOnRecord() {
    String id = create().getId();
    mesh.broker.hook =
        failing(
            "UpdatePolicy, done",
            new Refusal(ErrorReason.ERROR_REASON_GATEWAY_UNAVAILABLE, "revision 2 stands"));
    assertRefused(
        () -> update(id), Status.Code.UNAVAILABLE, ErrorReason.ERROR_REASON_GATEWAY_UNAVAILABLE);
    assertInForce(acme.getSandbox(get(id)));
  }

  @Test
  void anOutcomeThatIsNotKnownIsAskedForUntilItIs() throws Exception {
    String id = create().getId();
    mesh.broker.hook = failing("UpdatePolicy, done", Status.UNAVAILABLE.asRuntimeException());
    assertRefused(
        () -> update(id), Status.Code.UNAVAILABLE, ErrorReason.ERROR_REASON_BROKER_UNAVAILABLE);
    assertThat(acme.getSandbox(get(id)).getEgressPolicy()).isNotEqualTo(POLICY);
    // Neither a broker that is away nor the end of this process makes it forget.
    mesh.broker.hook = failing("GetPolicy", Status.UNAVAILABLE.asRuntimeException());
    mesh.stop();
    mesh.clock.advance(Duration.ofSeconds(31));
    mesh.start();
    acme = mesh.sandboxes(token);
    awaitCall(mesh.broker.calls, "GetPolicy");
    mesh.broker.hook = _ -> {};
    Sandbox sandbox = acme.getSandbox(get(id));
    while (!sandbox.getEgressPolicy().equals(POLICY)) {
      // Until it is, or the call's deadline ends the test.
      sandbox = acme.getSandbox(get(id));
    }
    assertInForce(sandbox);
  }

  @Test
  void anUpdateThatIsRefusedOrAnsweredLeavesNothingToAskFor() throws Exception {
    String id = create().getId();
    var wrong =
        EgressPolicy.newBuilder().addRules(EgressRule.newBuilder().setHost("*.com")).build();
    assertRefused(
        () ->
            acme.updateSandboxPolicy(
                UpdateSandboxPolicyRequest.newBuilder()
                    .setSandbox(id)
                    .setEgressPolicy(wrong)
                    .build()),
        Status.Code.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_HOST_PATTERN_INVALID);
    assertInForce(update(id));
    // The marker: an update that has to be asked for, after which all have been.
    String other = create().getId();
    mesh.broker.hook = failing("UpdatePolicy, done", Status.UNAVAILABLE.asRuntimeException());
    assertRefused(
        () -> update(other), Status.Code.UNAVAILABLE, ErrorReason.ERROR_REASON_BROKER_UNAVAILABLE);
    mesh.broker.hook = _ -> {};
    mesh.clock.advance(Duration.ofSeconds(31));
    while (!acme.getSandbox(get(other)).getEgressPolicy().equals(POLICY)) {
      LockSupport.parkNanos(1_000_000);
    }
    assertThat(mesh.broker.asked).containsOnly(other);
  }

  private Sandbox update(String id) {
    return acme.updateSandboxPolicy(
        UpdateSandboxPolicyRequest.newBuilder().setSandbox(id).setEgressPolicy(POLICY).build());
  }

  private void assertInForce(Sandbox sandbox) {
    assertThat(sandbox.getEgressPolicy()).isEqualTo(POLICY);
    assertThat(sandbox.getPolicyRevision()).isEqualTo(mesh.broker.revision(sandbox.getId()));
  }
}
