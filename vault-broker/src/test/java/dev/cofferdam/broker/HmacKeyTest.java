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
import dev.cofferdam.v1.HmacEncoding;
import dev.cofferdam.v1.HmacHash;
import dev.cofferdam.v1.HmacSignature;
import dev.cofferdam.v1.HmacTimestamp;
import dev.cofferdam.v1.NarrowSecretRequest;
import dev.cofferdam.v1.PutSecretRequest;
import dev.cofferdam.v1.Secret;
import dev.cofferdam.v1.SecretBinding;
import io.grpc.Status;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.UUID;
import java.util.function.Consumer;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Keys that sign by HMAC: over what the owner said, and nothing that is not on record. */
class HmacKeyTest extends BrokerTest {
  private static final String KEY = "an hmac key of a webhook, as bytes";
  private static final String TARGET = "hmac:x-signature";

  private static HmacSignature.Builder signature(String message) {
    return HmacSignature.newBuilder().setHeader("X-Signature").setMessage(message);
  }

  private static PutSecretRequest.Builder put(String name, String value, HmacSignature.Builder by) {
    return PutSecretRequest.newBuilder()
        .setName(name)
        .setValue(ByteString.copyFromUtf8(value))
        .addBindings(SecretBinding.newBuilder().addHosts(HOST).setHmac(by));
  }

  private Attached signing(String value, HmacSignature.Builder by) {
    String secrets = broker.secretsToken("acme");
    String name = "hmac-" + UUID.randomUUID().toString().substring(0, 8);
    Secret stored = broker.secrets(secrets).putSecret(put(name, value, by).build());
    assertThat(stored.getBindings(0).getTargetsList()).containsExactly(TARGET);
    return broker.attached(name, broker.apiToken("acme"), secrets, "g1", broker.nextSlot());
  }

  private static RequestToSign.Builder toSign() {
    return RequestToSign.newBuilder()
        .setTarget("/v1/models?b=2&a=1")
        .setBody(ByteString.copyFromUtf8("{\"a\": \"ä\"}"))
        .setPayloadSha256("a".repeat(64))
        .addHeaders(HeaderToSign.newBuilder().setName("host").setValue(HOST + ":8443"))
        .addHeaders(HeaderToSign.newBuilder().setName("x-nonce").setValue("n 1"));
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

  private List<String> answer(MaterializeRequest.Builder request) {
    String text = TestBroker.texts(broker.gateway("g1").materialize(request.build())).getFirst();
    return List.of(text.split("\n", -1));
  }

  private static byte[] mac(String algorithm, byte[] key, String message) throws Exception {
    Mac mac = Mac.getInstance(algorithm);
    mac.init(new SecretKeySpec(key, algorithm));
    return mac.doFinal(message.getBytes(StandardCharsets.UTF_8));
  }

  @Test
  void whatTheOwnerSaidIsSigned() throws Exception {
    Attached attached =
        signing(
            KEY,
            signature(
                    "v0:{timestamp}:{method} {host}{path}?{query} {target}\n"
                        + "{header:x-nonce}.{body}.{body:sha256}")
                .setValue("t={timestamp},v1={signature}"));
    Instant now = broker.clock.instant();
    String message =
        "v0:%d:GET %s:8443/v1/models?b=2&a=1 /v1/models?b=2&a=1\nn 1.{\"a\": \"ä\"}.%s"
            .formatted(now.getEpochSecond(), HOST, "a".repeat(64));
    String expected =
        HexFormat.of()
            .formatHex(mac("HmacSHA256", KEY.getBytes(StandardCharsets.US_ASCII), message));
    assertThat(answer(request(attached, TARGET, toSign())))
        .containsExactly(expected, "t=" + now.getEpochSecond() + ",v1=" + expected, "");
    AuditEvent use =
        broker.events(attached.apiToken()).stream()
            .filter(event -> event.getType() == AuditEventType.AUDIT_EVENT_TYPE_USE)
            .filter(event -> event.getSandbox().equals(attached.sandbox()))
            .reduce((_, last) -> last)
            .orElseThrow();
    assertThat(use.getTarget()).isEqualTo(TARGET);
    assertThat(use.toString()).doesNotContain("b=2", expected);
  }

  @ParameterizedTest
  @CsvSource({
    "HMAC_TIMESTAMP_UNIX_SECONDS, HMAC_HASH_SHA256, HMAC_ENCODING_HEX, HMAC_ENCODING_HEX",
    "HMAC_TIMESTAMP_UNIX_MILLIS, HMAC_HASH_SHA512, HMAC_ENCODING_BASE64, HMAC_ENCODING_BASE64",
    "HMAC_TIMESTAMP_RFC3339, HMAC_HASH_SHA512, HMAC_ENCODING_HEX, HMAC_ENCODING_UNSPECIFIED",
  })
  void inTheFormThatTheUpstreamWants(
      HmacTimestamp timestamp, HmacHash hash, HmacEncoding encoding, HmacEncoding keyForm)
      throws Exception {
    byte[] key = KEY.getBytes(StandardCharsets.US_ASCII);
    String value =
        switch (keyForm) {
          case HMAC_ENCODING_HEX -> HexFormat.of().formatHex(key);
          case HMAC_ENCODING_BASE64 -> Base64.getEncoder().encodeToString(key);
          default -> KEY;
        };
    Attached attached =
        signing(
            value,
            signature("{timestamp}{method}")
                .setHash(hash)
                .setEncoding(encoding)
                .setKey(keyForm)
                .setTimestamp(timestamp)
                .setTimestampHeader("X-Timestamp"));
    Instant now = broker.clock.instant();
    String time =
        switch (timestamp) {
          case HMAC_TIMESTAMP_UNIX_MILLIS -> Long.toString(now.toEpochMilli());
          case HMAC_TIMESTAMP_RFC3339 -> now.truncatedTo(ChronoUnit.SECONDS).toString();
          default -> Long.toString(now.getEpochSecond());
        };
    String algorithm = hash == HmacHash.HMAC_HASH_SHA512 ? "HmacSHA512" : "HmacSHA256";
    byte[] mac = mac(algorithm, key, time + "GET");
    String expected =
        encoding == HmacEncoding.HMAC_ENCODING_BASE64
            ? Base64.getEncoder().encodeToString(mac)
            : HexFormat.of().formatHex(mac);
    assertThat(answer(request(attached, TARGET, toSign())))
        .containsExactly(expected, expected, time);
  }

  @Test
  void inAParameterOfTheQueryItIsTheSame() throws Exception {
    String secrets = broker.secretsToken("acme");
    Secret stored =
        broker
            .secrets(secrets)
            .putSecret(
                put("in-query", KEY, signature("{query}").setHeader("").setQuery("Signature"))
                    .build());
    assertThat(stored.getBindings(0).getTargetsList()).containsExactly("hmac-query:Signature");
    Attached attached =
        broker.attached("in-query", broker.apiToken("acme"), secrets, "g1", broker.nextSlot());
    String expected =
        HexFormat.of()
            .formatHex(mac("HmacSHA256", KEY.getBytes(StandardCharsets.US_ASCII), "b=2&a=1"));
    assertThat(answer(request(attached, "hmac-query:Signature", toSign())))
        .containsExactly(expected, expected, "");
    for (String target : List.of("query:Signature", "hmac-query:signature", "hmac:signature")) {
      assertEgressRefused(
          () -> answer(request(attached, target, toSign())),
          EgressReason.EGRESS_REASON_PLACEHOLDER_OUTSIDE_TARGET);
    }
  }

  /** Of a gateway that was taken over: the key itself, in whatever place, is not to be had. */
  @ParameterizedTest
  @ValueSource(strings = {"header:x-signature", "header:authorization", "hmac:x-other", "path"})
  void anotherPlaceIsRefused(String target) {
    Attached attached = signing(KEY, signature("{body}"));
    for (MaterializeRequest.Builder request :
        List.of(
            request(attached, target, toSign()),
            attached
                .request()
                .clearUses()
                .addUses(TestBroker.use(attached.placeholder(), target)))) {
      assertEgressRefused(
          () -> answer(request), EgressReason.EGRESS_REASON_PLACEHOLDER_OUTSIDE_TARGET);
    }
    assertEgressRefused(
        () ->
            answer(
                attached
                    .request()
                    .clearUses()
                    .addUses(TestBroker.use(attached.placeholder(), TARGET))),
        EgressReason.EGRESS_REASON_PLACEHOLDER_OUTSIDE_TARGET);
  }

  @Test
  void nothingIsSignedButWhatGoesOnRecord() {
    Attached attached = signing(KEY, signature("{header:x-nonce}{body:sha256}"));
    List<Consumer<RequestToSign.Builder>> changes =
        List.of(
            other -> other.setTarget("/v1/other"),
            other -> other.setTarget("v1"),
            other -> other.setPayloadSha256("abc"),
            other -> other.getHeadersBuilder(0).setValue("other.example.com"),
            other -> other.getHeadersBuilder(0).setName("x-host"),
            other -> other.addHeaders(other.getHeaders(0)),
            other -> other.addHeaders(HeaderToSign.newBuilder().setName("x").setValue("\n")),
            // What the binding signs and the question lacks, or has twice.
            other -> other.setPayloadSha256(""),
            other -> other.removeHeaders(1),
            other -> other.addHeaders(other.getHeaders(1)));
    for (Consumer<RequestToSign.Builder> change : changes) {
      RequestToSign.Builder other = toSign();
      change.accept(other);
      assertRefused(
          () -> answer(request(attached, TARGET, other)),
          Status.Code.INVALID_ARGUMENT,
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT);
    }
    MaterializeRequest.Builder twice = request(attached, TARGET, toSign());
    assertRefused(
        () -> answer(twice.addUses(twice.getUses(0))),
        Status.Code.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_INVALID_ARGUMENT);
  }

  @Test
  void whatCannotBeSignedIsRefusedWhenItIsStored() {
    String token = broker.secretsToken("acme");
    List<HmacSignature.Builder> wrong =
        List.of(
            signature(""),
            signature("{nothing}"),
            signature("{signature}"),
            signature("{body"),
            signature("body}"),
            signature("{header:X-Nonce}"),
            signature("{header:content-length}"),
            signature("{header:x-signature}"),
            signature("{header:x-time}{timestamp}").setTimestampHeader("x-time"),
            signature("ä{body}"),
            signature("x".repeat(1025)),
            signature("{body}").setHeader("host"),
            signature("{body}").setHeader("*"),
            signature("{body}").setHeader(""),
            signature("{body}").setQuery("signature"),
            signature("{body}").setHeader("").setQuery("a b"),
            signature("{body}").setValue("v1"),
            signature("{body}").setValue("{signature}{signature}"),
            signature("{body}").setValue("{signature}\n"),
            signature("{body}").setValue("{signature}{body}"),
            signature("{body}").setTimestampHeader("x-time"),
            signature("{body}").setValue("{timestamp}{signature}"),
            signature("{timestamp}{body}"),
            signature("{timestamp}").setTimestampHeader("x-signature"),
            signature("{timestamp}").setTimestampHeader("host"),
            signature("{body}").setHashValue(9),
            signature("{body}").setKeyValue(9));
    for (HmacSignature.Builder each : wrong) {
      assertRefused(
          () -> broker.secrets(token).putSecret(put("wrong", KEY, each).build()),
          Status.Code.INVALID_ARGUMENT,
          ErrorReason.ERROR_REASON_BINDING_INVALID);
    }
    assertRefused(
        () ->
            broker
                .secrets(token)
                .putSecret(
                    put("wrong", KEY, signature("{body}").setKey(HmacEncoding.HMAC_ENCODING_HEX))
                        .build()),
        Status.Code.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_SECRET_VALUE_INVALID);
  }

  @Test
  void aKeySignsInOneWayAndStandsNowhere() {
    String token = broker.secretsToken("acme");
    SecretBinding.Builder other = SecretBinding.newBuilder().addHosts(HOST);
    for (PutSecretRequest.Builder both :
        List.of(
            put("both", KEY, signature("{body}")).addBindings(other),
            put("both", KEY, signature("{body}")).addBindings(other.clone().addTargets("aws4:*/*")),
            put("both", KEY, signature("{body}"))
                .addBindings(other.clone().setHmac(signature("{path}"))),
            put("both", KEY, signature("{body}"))
                .setBindings(
                    0, other.clone().setHmac(signature("{body}")).addTargets("header:x-signature")),
            put("both", KEY, signature("{body}"))
                .setBindings(0, other.clone().addTargets("hmac:x-signature")),
            put("both", KEY, signature("{body}"))
                .setBindings(
                    0,
                    other
                        .clone()
                        .setHmac(signature("{body}"))
                        .addTargets("hmac:x-signature")
                        .addTargets("header:x-key")),
            put("both", KEY, signature("{body}"))
                .addBindings(
                    other.clone().setHmac(signature("{body}").setHeader("").setQuery("q"))),
            put("both", KEY, signature("{body}"))
                .setBindings(0, other.clone().addTargets("hmac-query:q")))) {
      assertRefused(
          () -> broker.secrets(token).putSecret(both.build()),
          Status.Code.INVALID_ARGUMENT,
          ErrorReason.ERROR_REASON_BINDING_INVALID);
    }
  }

  @Test
  void whatIsSignedIsPartOfTheBinding() {
    String token = broker.secretsToken("acme");
    var _ =
        broker
            .secrets(token)
            .putSecret(put("narrowed-hmac", KEY, signature("{path}{body}")).build());
    Consumer<SecretBinding.Builder> narrow =
        binding ->
            broker
                .secrets(token)
                .narrowSecret(
                    NarrowSecretRequest.newBuilder()
                        .setName("narrowed-hmac")
                        .addBindings(binding)
                        .build());
    SecretBinding.Builder host = SecretBinding.newBuilder().addHosts(HOST);
    narrow.accept(host.clone().setHmac(signature("{path}{body}")));
    for (SecretBinding.Builder wider :
        List.of(
            host.clone().setHmac(signature("{path}")),
            host.clone().setHmac(signature("{path}{body}").setValue("v1={signature}")),
            host.clone().addTargets("header:x-signature"))) {
      assertRefused(
          () -> narrow.accept(wider),
          Status.Code.INVALID_ARGUMENT,
          ErrorReason.ERROR_REASON_BINDING_WIDENED);
    }
  }
}
