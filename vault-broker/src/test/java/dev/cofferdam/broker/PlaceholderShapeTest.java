package dev.cofferdam.broker;

import static dev.cofferdam.broker.Refused.assertEgressRefused;
import static dev.cofferdam.broker.Refused.assertRefused;
import static dev.cofferdam.broker.TestBroker.HOST;
import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import dev.cofferdam.broker.TestBroker.Attached;
import dev.cofferdam.internal.v1.MaterializeRequest;
import dev.cofferdam.kit.egress.PlaceholderForm;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.ListSecretsRequest;
import dev.cofferdam.v1.PlaceholderAlphabet;
import dev.cofferdam.v1.PlaceholderShape;
import dev.cofferdam.v1.PutSecretRequest;
import dev.cofferdam.v1.SecretBinding;
import io.grpc.Status;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Placeholders that look like the keys they stand for. */
class PlaceholderShapeTest extends BrokerTest {
  private static final String VALUE = "sk-the-real-value-0123456789";

  private static PlaceholderShape.Builder shape(String prefix, int length) {
    return PlaceholderShape.newBuilder().setPrefix(prefix).setLength(length);
  }

  private static PutSecretRequest.Builder put(String name, PlaceholderShape.Builder shape) {
    return PutSecretRequest.newBuilder()
        .setName(name)
        .setValue(ByteString.copyFromUtf8(VALUE))
        .addBindings(SecretBinding.newBuilder().addHosts(HOST))
        .setShape(shape);
  }

  private Attached shaped(PlaceholderShape.Builder shape) {
    String secrets = broker.secretsToken("acme");
    String name = "shaped-" + UUID.randomUUID().toString().substring(0, 8);
    var _ = broker.secrets(secrets).putSecret(put(name, shape).build());
    return broker.attached(name, broker.apiToken("acme"), secrets, "g1", broker.nextSlot());
  }

  private static MaterializeRequest of(Attached attached, String hashed) {
    return attached
        .request()
        .clearUses()
        .addUses(TestBroker.use(hashed, "header:authorization"))
        .build();
  }

  @ParameterizedTest
  @CsvSource({
    "sk-, 51, PLACEHOLDER_ALPHABET_UNSPECIFIED, 51, 'sk-c0fferdam[0-9A-Za-z]{39}'",
    "ghp_, 40, PLACEHOLDER_ALPHABET_ALPHANUMERIC, 40, 'ghp_c0fferdam[0-9A-Za-z]{27}'",
    "'', 0, PLACEHOLDER_ALPHABET_ALPHANUMERIC, 35, 'c0fferdam[0-9A-Za-z]{26}'",
    "DENO_SECRET_PLACEHOLDER_, 88, PLACEHOLDER_ALPHABET_HEX, 88,"
        + " 'DENO_SECRET_PLACEHOLDER_c0ffe2da5e[0-9a-f]{54}'",
    "AKIA, 39, PLACEHOLDER_ALPHABET_ALPHANUMERIC, 39, 'AKIAc0fferdam[0-9A-Za-z]{26}'",
    "eyJhbGciOiJIUzI1NiJ9.e30., 68, PLACEHOLDER_ALPHABET_ALPHANUMERIC, 68,"
        + " 'eyJhbGciOiJIUzI1NiJ9[.]e30[.]c0fferdam[0-9A-Za-z]{34}'",
  })
  void theyLookAsWantedAndAreKnownByTheirCore(
      String prefix, int length, PlaceholderAlphabet alphabet, int expected, String pattern) {
    Attached attached = shaped(shape(prefix, length).setAlphabet(alphabet));
    String whole = attached.placeholder();
    assertThat(whole).hasSize(expected).matches(pattern);
    PlaceholderForm form =
        alphabet == PlaceholderAlphabet.PLACEHOLDER_ALPHABET_HEX
            ? PlaceholderForm.HEX
            : PlaceholderForm.ALPHANUMERIC;
    String core = whole.substring(prefix.length(), prefix.length() + form.length());
    // What a gateway knows is enough to tell the whole from the core.
    assertThat(PlaceholderForm.whole(prefix, core, expected)).isEqualTo(whole);
    assertThat(TestBroker.texts(broker.gateway("g1").materialize(of(attached, core))))
        .containsExactly(VALUE);
    for (String other : List.of(whole + "x", core.substring(1), prefix + core + "x")) {
      assertEgressRefused(
          () -> broker.gateway("g1").materialize(of(attached, other)),
          EgressReason.EGRESS_REASON_PLACEHOLDER_FOREIGN);
    }
  }

  @Test
  void noTwoAreAlikeAndTheTailSaysNothingOfTheNext() {
    Set<String> seen = new HashSet<>();
    for (int i = 0; i < 20; i++) {
      assertThat(seen.add(shaped(shape("sk-", 38)).placeholder())).isTrue();
    }
  }

  @Test
  void whatCouldBeGuessedOrNotBeFoundIsRefused() {
    String token = broker.secretsToken("acme");
    for (PlaceholderShape.Builder wrong :
        List.of(
            // An AWS access key's id: 16 characters hold 80 bits.
            shape("AKIA", 20),
            shape("sk-", 37),
            shape("sk-", 513),
            shape("sk-", -1),
            shape("x", 42).setAlphabet(PlaceholderAlphabet.PLACEHOLDER_ALPHABET_HEX),
            shape("a b", 100),
            shape("a\n", 100),
            shape("é", 100),
            shape("x".repeat(257), 400),
            shape("sk-cofferdam_", 100),
            shape("C0FFERDAM", 100),
            shape("c0ffe2DA5E-", 100),
            shape("sk-", 51).setAlphabetValue(9))) {
      assertRefused(
          () -> broker.secrets(token).putSecret(put("wrong", wrong).build()),
          Status.Code.INVALID_ARGUMENT,
          ErrorReason.ERROR_REASON_BINDING_INVALID);
    }
  }

  @Test
  void aSecretKeepsItsShape() {
    String token = broker.secretsToken("acme");
    var _ = broker.secrets(token).putSecret(put("kept", shape("sk-", 51)).build());
    PutSecretRequest.Builder again = put("kept", shape("sk-", 52)).setReplace(true);
    for (PutSecretRequest.Builder other : List.of(again, again.clone().clearShape())) {
      assertRefused(
          () -> broker.secrets(token).putSecret(other.build()),
          Status.Code.INVALID_ARGUMENT,
          ErrorReason.ERROR_REASON_BINDING_INVALID);
    }
    PlaceholderShape kept =
        shape("sk-", 51).setAlphabet(PlaceholderAlphabet.PLACEHOLDER_ALPHABET_ALPHANUMERIC).build();
    assertThat(
            broker
                .secrets(token)
                .putSecret(put("kept", shape("sk-", 51)).setReplace(true).build())
                .getShape())
        .isEqualTo(kept);
    assertThat(
            broker
                .secrets(token)
                .listSecrets(ListSecretsRequest.newBuilder().setPageSize(1000).build())
                .getSecretsList())
        .anyMatch(secret -> secret.getName().equals("kept") && secret.getShape().equals(kept));
  }
}
