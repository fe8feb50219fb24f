package dev.cofferdam.broker;

import static dev.cofferdam.broker.Refused.assertEgressRefused;
import static dev.cofferdam.broker.Refused.assertRefused;
import static dev.cofferdam.broker.TestBroker.HOST;
import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import dev.cofferdam.broker.TestBroker.Attached;
import dev.cofferdam.internal.v1.HeaderToSign;
import dev.cofferdam.internal.v1.MaterializeRequest;
import dev.cofferdam.internal.v1.PlaceholderUse;
import dev.cofferdam.internal.v1.RequestToSign;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.AuditEventType;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.NarrowSecretRequest;
import dev.cofferdam.v1.PutSecretRequest;
import dev.cofferdam.v1.RotateSecretRequest;
import dev.cofferdam.v1.SecretBinding;
import dev.cofferdam.v1.Verdict;
import io.grpc.Status;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.List;
import java.util.UUID;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Keys that sign requests: what the broker signs is what it puts on record, and no key leaves. */
class SigningKeyTest extends BrokerTest {
  private static final String KEY = "AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
  private static final String EMPTY =
      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

  private static PutSecretRequest put(String name, String value, String... targets) {
    return PutSecretRequest.newBuilder()
        .setName(name)
        .setValue(ByteString.copyFromUtf8(value))
        .addBindings(SecretBinding.newBuilder().addHosts(HOST).addAllTargets(List.of(targets)))
        .build();
  }

  private Attached signing(String value, String... targets) {
    String secrets = broker.secretsToken("acme");
    String name = "aws-" + UUID.randomUUID().toString().substring(0, 8);
    var _ = broker.secrets(secrets).putSecret(put(name, value, targets));
    return broker.attached(name, broker.apiToken("acme"), secrets, "g1", broker.nextSlot());
  }

  private static RequestToSign.Builder toSign(Instant time) {
    return RequestToSign.newBuilder()
        .setTarget("/v1/models?b=2&a=1")
        .setPayloadSha256(EMPTY)
        .addHeaders(HeaderToSign.newBuilder().setName("host").setValue(HOST + ":8443"))
        .addHeaders(
            HeaderToSign.newBuilder()
                .setName("x-amz-date")
                .setValue(
                    DateTimeFormatter.ofPattern("uuuuMMdd'T'HHmmss'Z'")
                        .withZone(ZoneOffset.UTC)
                        .format(time)));
  }

  private static MaterializeRequest.Builder request(
      Attached attached, String target, RequestToSign.Builder toSign) {
    return attached
        .request()
        .clearUses()
        .addUses(
            PlaceholderUse.newBuilder(TestBroker.use(attached.placeholder(), target))
                .setToSign(toSign));
  }

  private String answer(MaterializeRequest.Builder request) {
    return TestBroker.texts(broker.gateway("g1").materialize(request.build())).getFirst();
  }

  @Test
  void aSignatureIsHandedOutAndTheUseIsOnRecord() {
    Attached attached = signing(KEY, "aws4:*/*");
    String answer = answer(request(attached, "aws4:us-east-1/s3", toSign(broker.clock.instant())));
    assertThat(answer).matches("AKIAIOSFODNN7EXAMPLE\n[0-9a-f]{64}\n").doesNotContain("wJalr");
    AuditEvent use =
        broker.events(attached.apiToken()).stream()
            .filter(event -> event.getType() == AuditEventType.AUDIT_EVENT_TYPE_USE)
            .filter(event -> event.getSandbox().equals(attached.sandbox()))
            .reduce((_, last) -> last)
            .orElseThrow();
    assertThat(use.getTarget()).isEqualTo("aws4:us-east-1/s3");
    assertThat(use.getVerdict()).isEqualTo(Verdict.VERDICT_ALLOWED);
    assertThat(use.toString()).doesNotContain("b=2");
    // Not for each of them the same.
    assertThat(answer(request(attached, "aws4:us-east-1/sqs", toSign(broker.clock.instant()))))
        .isNotEqualTo(answer);
  }

  @Test
  void theSessionTokenComesAlong() {
    Attached attached = signing(KEY + ":FwoGZXIvYXdzEXAMPLE==", "aws4:us-east-1/s3");
    assertThat(answer(request(attached, "aws4:us-east-1/s3", toSign(broker.clock.instant()))))
        .matches("AKIAIOSFODNN7EXAMPLE\n[0-9a-f]{64}\nFwoGZXIvYXdzEXAMPLE==");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "aws4:eu-west-1/s3",
        "aws4:us-east-1/sqs",
        "aws4:*/s3",
        "aws4:us-east-1/*",
        "header:authorization",
        "header:*",
      })
  void anotherScopeOrPlaceIsRefused(String target) {
    Attached attached = signing(KEY, "aws4:us-east-1/s3");
    assertEgressRefused(
        () -> answer(request(attached, target, toSign(broker.clock.instant()))),
        EgressReason.EGRESS_REASON_PLACEHOLDER_OUTSIDE_TARGET);
  }

  /** Of a gateway that was taken over. */
  @Test
  void whatIsLeftOutOfTheQuestionGetsNoKey() {
    Attached attached = signing(KEY, "aws4:us-east-1/s3");
    assertEgressRefused(
        () ->
            answer(
                attached
                    .request()
                    .clearUses()
                    .addUses(TestBroker.use(attached.placeholder(), "aws4:us-east-1/s3"))),
        EgressReason.EGRESS_REASON_PLACEHOLDER_OUTSIDE_TARGET);
  }

  @Test
  void nothingIsSignedButWhatGoesOnRecord() {
    Attached attached = signing(KEY, "aws4:us-east-1/s3");
    List<Consumer<RequestToSign.Builder>> changes =
        List.of(
            other -> other.setTarget("/v1/other"),
            other -> other.setTarget("v1"),
            other -> other.setPayloadSha256("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
            other -> other.getHeadersBuilder(0).setValue("other.example.com"),
            other -> other.getHeadersBuilder(0).setValue(HOST + ".evil.example"),
            other -> other.getHeadersBuilder(0).setValue(HOST + ":1:2"),
            other -> other.getHeadersBuilder(0).setName("x-host"),
            other -> other.addHeaders(other.getHeaders(0)),
            other -> other.addHeaders(HeaderToSign.newBuilder().setName("x\n")),
            other -> other.addHeaders(HeaderToSign.newBuilder().setName("x").setValue("\n")),
            other -> other.addHeaders(HeaderToSign.newBuilder().setName("x-amz-security-token")));
    for (Consumer<RequestToSign.Builder> change : changes) {
      RequestToSign.Builder other = toSign(broker.clock.instant());
      change.accept(other);
      assertRefused(
          () -> answer(request(attached, "aws4:us-east-1/s3", other)),
          Status.Code.INVALID_ARGUMENT,
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT);
    }
    assertRefused(
        () ->
            answer(
                request(attached, "aws4:us-east-1/s3", toSign(broker.clock.instant()))
                    .addUses(TestBroker.use(attached.placeholder(), "header:authorization"))),
        Status.Code.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_INVALID_ARGUMENT);
  }

  @Test
  void nothingIsSignedForOtherTimes() {
    Attached attached = signing(KEY, "aws4:us-east-1/s3");
    for (Duration off : List.of(Duration.ofMinutes(20), Duration.ofMinutes(-20))) {
      assertEgressRefused(
          () ->
              answer(
                  request(attached, "aws4:us-east-1/s3", toSign(broker.clock.instant().plus(off)))),
          EgressReason.EGRESS_REASON_SIGNATURE_DATE);
    }
    RequestToSign.Builder none = toSign(broker.clock.instant());
    none.getHeadersBuilder(1).setValue("20150230T999999Z");
    assertEgressRefused(
        () -> answer(request(attached, "aws4:us-east-1/s3", none)),
        EgressReason.EGRESS_REASON_SIGNATURE_DATE);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        "AKIA:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        "AKIAIOSFODNN7EXAMPLE:short",
        "AKIA/OSFODNN7EXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        "AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI K7MDENG+bPxRfiCYEXAMPLEKEY",
        "AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY:",
        "AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY:a:b",
      })
  void whatIsNoCredentialIsRefused(String value) {
    String token = broker.secretsToken("acme");
    assertRefused(
        () -> broker.secrets(token).putSecret(put("none", value, "aws4:us-east-1/s3")),
        Status.Code.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_SECRET_VALUE_INVALID);
    String name = "rotated-" + UUID.randomUUID().toString().substring(0, 8);
    var _ = broker.secrets(token).putSecret(put(name, KEY, "aws4:us-east-1/s3"));
    assertRefused(
        () ->
            broker
                .secrets(token)
                .rotateSecret(
                    RotateSecretRequest.newBuilder()
                        .setName(name)
                        .setValue(ByteString.copyFromUtf8(value))
                        .build()),
        Status.Code.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_SECRET_VALUE_INVALID);
  }

  @Test
  void aKeySignsOrIsPutInNeverBoth() {
    String token = broker.secretsToken("acme");
    assertRefused(
        () -> broker.secrets(token).putSecret(put("both", KEY, "aws4:*/*", "header:x-key")),
        Status.Code.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_BINDING_INVALID);
    for (String target : List.of("aws4:", "aws4:a", "aws4:a/b/c", "aws4:A/s3", "aws4:a*/s3")) {
      assertRefused(
          () -> broker.secrets(token).putSecret(put("scope", KEY, target)),
          Status.Code.INVALID_ARGUMENT,
          ErrorReason.ERROR_REASON_BINDING_INVALID);
    }
  }

  @Test
  void aScopeIsNarrowedAndNotWidened() {
    String token = broker.secretsToken("acme");
    var _ = broker.secrets(token).putSecret(put("narrowed", KEY, "aws4:*/*"));
    for (String target : List.of("aws4:*/s3", "aws4:us-east-1/s3")) {
      assertThat(broker.secrets(token).narrowSecret(narrow(target)).getBindings(0).getTargetsList())
          .containsExactly(target);
    }
    for (String target : List.of("aws4:*/s3", "aws4:us-east-1/*", "header:authorization")) {
      assertRefused(
          () -> broker.secrets(token).narrowSecret(narrow(target)),
          Status.Code.INVALID_ARGUMENT,
          ErrorReason.ERROR_REASON_BINDING_WIDENED);
    }
  }

  private static NarrowSecretRequest narrow(String target) {
    return NarrowSecretRequest.newBuilder()
        .setName("narrowed")
        .addBindings(SecretBinding.newBuilder().addHosts(HOST).addTargets(target))
        .build();
  }
}
