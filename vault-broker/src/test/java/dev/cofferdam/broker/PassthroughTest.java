package dev.cofferdam.broker;

import static dev.cofferdam.broker.Refused.assertRefused;
import static dev.cofferdam.broker.TestBroker.HOST;
import static dev.cofferdam.broker.TestBroker.VALUE;
import static dev.cofferdam.broker.TestBroker.put;
import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import dev.cofferdam.broker.TestBroker.Attached;
import dev.cofferdam.internal.v1.RevokeGrantsRequest;
import dev.cofferdam.internal.v1.UpdatePolicyRequest;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.PutSecretRequest;
import dev.cofferdam.v1.RotateSecretRequest;
import dev.cofferdam.v1.SecretBinding;
import io.grpc.Status;
import org.junit.jupiter.api.Test;

/** A host is either passed through or bound to a secret, whichever of the two comes later. */
class PassthroughTest extends BrokerTest {
  private static final String OTHER = "other.example.org";

  private static final EgressPolicy PASSING_OTHER =
      EgressPolicy.newBuilder()
          .addRules(EgressRule.newBuilder().setHost(HOST))
          .addRules(EgressRule.newBuilder().setHost("*.example.org").setPassthrough(true))
          .build();

  /** A sandbox that is bound to {@link TestBroker#HOST} and passes through example.org. */
  private Attached passing(String secret) {
    String secrets = broker.secretsToken("acme");
    String api = broker.apiToken("acme");
    var _ = broker.secrets(secrets).putSecret(put(secret, VALUE).build());
    String sandbox = broker.newSandbox();
    var granted =
        broker
            .scheduler(api)
            .createGrants(
                TestBroker.grants(sandbox, secret).toBuilder().setPolicy(PASSING_OTHER).build());
    return new Attached(
        sandbox,
        broker.nextSlot(),
        granted.getGeneration(),
        granted.getPlaceholders(0).getPlaceholder(),
        api,
        secrets);
  }

  private static PutSecretRequest boundToBoth(String secret) {
    return put(secret, VALUE + "-2")
        .setReplace(true)
        .addBindings(SecretBinding.newBuilder().addHosts(OTHER))
        .build();
  }

  @Test
  void aPolicyThatPassesThroughABoundHostIsRefused() {
    Attached attached = broker.attached("policy");
    assertRefused(
        () ->
            broker
                .scheduler(attached.apiToken())
                .updatePolicy(
                    UpdatePolicyRequest.newBuilder()
                        .setSandbox(attached.sandbox())
                        .setPolicy(
                            EgressPolicy.newBuilder()
                                .addRules(
                                    EgressRule.newBuilder()
                                        .setHost("*.example.com")
                                        .setPassthrough(true)))
                        .build()),
        Status.Code.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_POLICY_INVALID);
  }

  @Test
  void aBindingToAHostThatASandboxPassesThroughIsRefusedAndTheSecretStaysAsItWas() {
    Attached attached = passing("binding");
    var secrets = broker.secrets(attached.secretsToken());
    assertRefused(
        () -> secrets.putSecret(boundToBoth("binding")),
        Status.Code.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_BINDING_INVALID);
    var rotated =
        secrets.rotateSecret(
            RotateSecretRequest.newBuilder()
                .setName("binding")
                .setValue(ByteString.copyFromUtf8(VALUE + "-3"))
                .build());
    assertThat(rotated.getVersion()).isEqualTo(2);
    assertThat(rotated.getBindingsList())
        .flatExtracting(SecretBinding::getHostsList)
        .containsExactly(HOST);
  }

  @Test
  void onceTheSandboxHasEndedItIsTaken() {
    Attached attached = passing("ended");
    var _ =
        broker
            .scheduler("")
            .revokeGrants(RevokeGrantsRequest.newBuilder().setSandbox(attached.sandbox()).build());
    var secret = broker.secrets(attached.secretsToken()).putSecret(boundToBoth("ended"));
    assertThat(secret.getVersion()).isEqualTo(2);
  }
}
