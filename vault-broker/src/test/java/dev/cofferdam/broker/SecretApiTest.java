package dev.cofferdam.broker;

import static dev.cofferdam.broker.Refused.assertRefused;
import static dev.cofferdam.broker.TestBroker.HOST;
import static dev.cofferdam.broker.TestBroker.VALUE;
import static dev.cofferdam.broker.TestBroker.put;
import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import dev.cofferdam.kit.call.TokenHashes;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.DeleteSecretRequest;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.ForkMode;
import dev.cofferdam.v1.ListSecretsRequest;
import dev.cofferdam.v1.ListSecretsResponse;
import dev.cofferdam.v1.ListTokensRequest;
import dev.cofferdam.v1.NarrowSecretRequest;
import dev.cofferdam.v1.PutSecretRequest;
import dev.cofferdam.v1.RegisterTokenRequest;
import dev.cofferdam.v1.RemoveTokenRequest;
import dev.cofferdam.v1.RotateSecretRequest;
import dev.cofferdam.v1.Secret;
import dev.cofferdam.v1.SecretBinding;
import dev.cofferdam.v1.SecretServiceGrpc;
import dev.cofferdam.v1.TokenServiceGrpc;
import io.grpc.Channel;
import io.grpc.Status;
import java.util.ArrayList;
import java.util.List;
import org.assertj.core.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** SecretService and TokenService as their callers meet them. */
class SecretApiTest extends BrokerTest {
  private static final Status.Code INVALID = Status.Code.INVALID_ARGUMENT;

  private void assertPutRefused(PutSecretRequest.Builder request, ErrorReason reason) {
    String token = broker.secretsToken("refused");
    assertRefused(() -> broker.secrets(token).putSecret(request.build()), INVALID, reason);
    assertThat(
            broker
                .secrets(token)
                .listSecrets(ListSecretsRequest.getDefaultInstance())
                .getSecretsList())
        .as("nothing half-made is left")
        .isEmpty();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "fifteen-bytes-x",
        "with-a-CR\r-0123456789",
        "with-an-LF-0123456789\n",
        "\0with-a-NUL-0123456789"
      })
  void badValuesAreRefused(String value) {
    assertPutRefused(put("bad-value", value), ErrorReason.ERROR_REASON_SECRET_VALUE_INVALID);
  }

  @Test
  void aValueIsAtMost64KiB() {
    String token = broker.secretsToken("long");
    Secret stored = broker.secrets(token).putSecret(put("longest", "x".repeat(65_536)).build());
    assertThat(stored.getVersion()).isEqualTo(1);
    assertPutRefused(
        put("longer", "x".repeat(65_537)), ErrorReason.ERROR_REASON_SECRET_VALUE_INVALID);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "bad_host.example.com",
        "https://x.example.com",
        "*.com",
        "*.co.uk",
        "*.foo.1com"
      })
  void badHostsAreRefused(String host) {
    assertPutRefused(
        put("bad-host", VALUE)
            .clearBindings()
            .addBindings(SecretBinding.newBuilder().addHosts(host)),
        ErrorReason.ERROR_REASON_HOST_PATTERN_INVALID);
  }

  @Test
  void aSecretBoundToNoHostIsRefused() {
    assertPutRefused(
        put("no-binding", VALUE).clearBindings(), ErrorReason.ERROR_REASON_BINDING_INVALID);
    assertPutRefused(
        put("no-host", VALUE).clearBindings().addBindings(SecretBinding.getDefaultInstance()),
        ErrorReason.ERROR_REASON_BINDING_INVALID);
  }

  @Test
  void badTargetsAndNamesAreRefused() {
    assertPutRefused(
        put("bad-target", VALUE)
            .clearBindings()
            .addBindings(SecretBinding.newBuilder().addHosts(HOST).addTargets("header:host")),
        ErrorReason.ERROR_REASON_BINDING_INVALID);
    assertPutRefused(put("Bad_Name", VALUE), ErrorReason.ERROR_REASON_INVALID_ARGUMENT);
  }

  @Test
  void weakValuesAreTakenWhenTheirOwnerSaysSo() {
    String token = broker.secretsToken("weak");
    Secret stored = broker.secrets(token).putSecret(put("pin", "1234").setWeak(true).build());
    assertThat(stored.getName()).isEqualTo("pin");
    var _ =
        broker
            .secrets(token)
            .rotateSecret(
                RotateSecretRequest.newBuilder()
                    .setName("pin")
                    .setValue(ByteString.copyFromUtf8("5678"))
                    .build());
  }

  @Test
  void aNameInUseIsRotatedOrReplacedNotOverwritten() {
    var secrets = broker.secrets(broker.secretsToken("twice"));
    Secret first = secrets.putSecret(put("api-key", VALUE).build());
    assertRefused(
        () -> secrets.putSecret(put("api-key", VALUE + "2").build()),
        Status.Code.ALREADY_EXISTS,
        ErrorReason.ERROR_REASON_SECRET_EXISTS);
    Secret replaced =
        secrets.putSecret(
            put("api-key", VALUE + "2")
                .setReplace(true)
                .addBindings(SecretBinding.newBuilder().addHosts("b.example.com"))
                .build());
    assertThat(replaced.getVersion()).isEqualTo(2);
    assertThat(replaced.getBindingsCount()).isEqualTo(2);
    assertThat(replaced.getEtag()).isNotEqualTo(first.getEtag());
  }

  @Test
  void etagsHoldOffChangesOfAnOlderState() {
    var secrets = broker.secrets(broker.secretsToken("etag"));
    Secret first = secrets.putSecret(put("api-key", VALUE).build());
    RotateSecretRequest.Builder rotate =
        RotateSecretRequest.newBuilder()
            .setName("api-key")
            .setValue(ByteString.copyFromUtf8(VALUE + "2"));
    Secret second = secrets.rotateSecret(rotate.setEtag(first.getEtag()).build());
    assertThat(second.getVersion()).isEqualTo(2);
    assertRefused(
        () -> secrets.rotateSecret(rotate.build()),
        Status.Code.ABORTED,
        ErrorReason.ERROR_REASON_ETAG_MISMATCH);
    assertRefused(
        () ->
            secrets.narrowSecret(
                NarrowSecretRequest.newBuilder()
                    .setName("api-key")
                    .addAllBindings(first.getBindingsList())
                    .setEtag(first.getEtag())
                    .build()),
        Status.Code.ABORTED,
        ErrorReason.ERROR_REASON_ETAG_MISMATCH);
  }

  @Test
  void narrowingTakesAwayAndWideningIsRefused() {
    var secrets = broker.secrets(broker.secretsToken("narrow"));
    var _ =
        secrets.putSecret(
            put("api-key", VALUE)
                .clearBindings()
                .addBindings(SecretBinding.newBuilder().addHosts("*.example.com").setOccurrences(3))
                .build());
    Secret narrowed =
        secrets.narrowSecret(
            narrow(
                SecretBinding.newBuilder()
                    .addHosts("api.example.com")
                    .addTargets("header:authorization")));
    assertThat(narrowed.getBindings(0).getTargetsList()).containsExactly("header:authorization");
    assertThat(narrowed.getVersion()).isEqualTo(1);
    for (SecretBinding.Builder wider :
        List.of(
            SecretBinding.newBuilder().addHosts("*.example.com").addTargets("header:authorization"),
            SecretBinding.newBuilder().addHosts("api.example.com"),
            SecretBinding.newBuilder()
                .addHosts("api.example.com")
                .addTargets("header:authorization")
                .setOccurrences(2),
            SecretBinding.newBuilder()
                .addHosts("api.example.com")
                .addTargets("header:authorization")
                .setCleartext(true))) {
      assertRefused(
          () -> secrets.narrowSecret(narrow(wider)),
          INVALID,
          ErrorReason.ERROR_REASON_BINDING_WIDENED);
    }
    assertRefused(
        () -> secrets.narrowSecret(NarrowSecretRequest.newBuilder().setName("api-key").build()),
        INVALID,
        ErrorReason.ERROR_REASON_BINDING_INVALID);
  }

  @Test
  void theForkModeIsShownDropsByDefaultAndIsOnlyNarrowedWithoutTheValue() {
    var secrets = broker.secrets(broker.secretsToken("forks"));
    assertThat(secrets.putSecret(put("plain", VALUE).build()).getForkMode())
        .isEqualTo(ForkMode.FORK_MODE_DROP);
    Secret inherited =
        secrets.putSecret(put("api-key", VALUE).setForkMode(ForkMode.FORK_MODE_INHERIT).build());
    assertThat(inherited.getForkMode()).isEqualTo(ForkMode.FORK_MODE_INHERIT);
    NarrowSecretRequest.Builder narrow =
        NarrowSecretRequest.newBuilder()
            .setName("api-key")
            .addAllBindings(inherited.getBindingsList());
    assertThat(secrets.narrowSecret(narrow.build()).getForkMode())
        .isEqualTo(ForkMode.FORK_MODE_INHERIT);
    Secret dropped =
        secrets.narrowSecret(narrow.clearBindings().setForkMode(ForkMode.FORK_MODE_DROP).build());
    assertThat(dropped.getBindingsList()).isEqualTo(inherited.getBindingsList());
    assertThat(secrets.listSecrets(ListSecretsRequest.getDefaultInstance()).getSecretsList())
        .extracting(Secret::getForkMode)
        .containsOnly(ForkMode.FORK_MODE_DROP);
    assertRefused(
        () -> secrets.narrowSecret(narrow.setForkMode(ForkMode.FORK_MODE_INHERIT).build()),
        INVALID,
        ErrorReason.ERROR_REASON_BINDING_WIDENED);
    assertRefused(
        () -> secrets.narrowSecret(narrow.setForkModeValue(9).build()),
        INVALID,
        ErrorReason.ERROR_REASON_INVALID_ARGUMENT);
    assertRefused(
        () -> secrets.putSecret(put("ninth", VALUE).setForkModeValue(9).build()),
        INVALID,
        ErrorReason.ERROR_REASON_INVALID_ARGUMENT);
  }

  private static NarrowSecretRequest narrow(SecretBinding.Builder binding) {
    return NarrowSecretRequest.newBuilder().setName("api-key").addBindings(binding).build();
  }

  @Test
  void listsGoOnFromPageToPageByName() {
    var secrets = broker.secrets(broker.secretsToken("pages"));
    for (String name : List.of("c", "a", "e", "b", "d")) {
      var _ = secrets.putSecret(put(name, VALUE).build());
    }
    List<String> names = new ArrayList<>();
    String token = "";
    do {
      ListSecretsResponse page =
          secrets.listSecrets(
              ListSecretsRequest.newBuilder().setPageSize(2).setPageToken(token).build());
      assertThat(page.getSecretsCount()).isLessThanOrEqualTo(2);
      page.getSecretsList().forEach(secret -> names.add(secret.getName()));
      token = page.getNextPageToken();
    } while (!token.isEmpty());
    assertThat(names).containsExactly("a", "b", "c", "d", "e");
    assertRefused(
        () -> secrets.listSecrets(ListSecretsRequest.newBuilder().setPageToken("?!").build()),
        INVALID,
        ErrorReason.ERROR_REASON_PAGE_TOKEN_INVALID);
    assertRefused(
        () -> secrets.listSecrets(ListSecretsRequest.newBuilder().setPageSize(1001).build()),
        INVALID,
        ErrorReason.ERROR_REASON_INVALID_ARGUMENT);
  }

  @Test
  void aDeletedNameBeginsAnew() {
    var secrets = broker.secrets(broker.secretsToken("again"));
    Secret first = secrets.putSecret(put("api-key", VALUE).build());
    var _ = secrets.deleteSecret(DeleteSecretRequest.newBuilder().setName("api-key").build());
    assertRefused(
        () -> secrets.deleteSecret(DeleteSecretRequest.newBuilder().setName("api-key").build()),
        Status.Code.NOT_FOUND,
        ErrorReason.ERROR_REASON_SECRET_NOT_FOUND);
    Secret second = secrets.putSecret(put("api-key", VALUE).build());
    assertThat(second.getVersion()).isEqualTo(1);
    assertThat(second.getEtag()).isNotEqualTo(first.getEtag());
  }

  @Test
  void tokensThatAreMissingWrongOrTooNarrowAreRefused() {
    PutSecretRequest request = put("api-key", VALUE).build();
    assertRefused(
        () -> broker.secrets("").putSecret(request),
        Status.Code.UNAUTHENTICATED,
        ErrorReason.ERROR_REASON_TOKEN_MISSING);
    assertRefused(
        () -> broker.secrets("cf_nobody-knows-this").putSecret(request),
        Status.Code.UNAUTHENTICATED,
        ErrorReason.ERROR_REASON_TOKEN_INVALID);
    String narrow = broker.apiToken("narrow-token");
    assertRefused(
        () -> broker.secrets(narrow).putSecret(request),
        Status.Code.PERMISSION_DENIED,
        ErrorReason.ERROR_REASON_SCOPE_MISSING);
    assertRefused(
        () -> broker.secrets(narrow).listSecrets(ListSecretsRequest.getDefaultInstance()),
        Status.Code.PERMISSION_DENIED,
        ErrorReason.ERROR_REASON_SCOPE_MISSING);
  }

  @Test
  void aTenantMeetsNothingOfAnothers() {
    var mine = broker.secrets(broker.secretsToken("mine"));
    String theirToken = broker.secretsToken("theirs");
    var theirs = broker.secrets(theirToken);
    var _ = mine.putSecret(put("api-key", VALUE).build());
    assertThat(theirs.listSecrets(ListSecretsRequest.getDefaultInstance()).getSecretsList())
        .isEmpty();
    assertRefused(
        () -> theirs.deleteSecret(DeleteSecretRequest.newBuilder().setName("api-key").build()),
        Status.Code.NOT_FOUND,
        ErrorReason.ERROR_REASON_SECRET_NOT_FOUND);
    assertRefused(
        () ->
            theirs.rotateSecret(
                RotateSecretRequest.newBuilder()
                    .setName("api-key")
                    .setValue(ByteString.copyFromUtf8(VALUE))
                    .build()),
        Status.Code.NOT_FOUND,
        ErrorReason.ERROR_REASON_SECRET_NOT_FOUND);
    var _ = theirs.putSecret(put("api-key", VALUE).build());
    assertThat(broker.events(theirToken)).hasSize(1);
  }

  @Test
  void everyChangeIsOnRecordWithoutTheValue() {
    String token = broker.secretsToken("record");
    var secrets = broker.secrets(token);
    Secret secret = secrets.putSecret(put("api-key", VALUE).build());
    var _ =
        secrets.rotateSecret(
            RotateSecretRequest.newBuilder()
                .setName("api-key")
                .setValue(ByteString.copyFromUtf8(VALUE))
                .build());
    var _ =
        secrets.narrowSecret(
            NarrowSecretRequest.newBuilder()
                .setName("api-key")
                .addAllBindings(secret.getBindingsList())
                .build());
    var _ = secrets.deleteSecret(DeleteSecretRequest.newBuilder().setName("api-key").build());
    List<AuditEvent> events = broker.events(token);
    assertThat(events)
        .extracting(event -> event.getMessage().split(" ", -1)[1])
        .containsExactly("stored", "rotated", "narrowed", "deleted");
    assertThat(events).allSatisfy(event -> assertThat(event.toString()).doesNotContain(VALUE));
  }

  @Test
  void noServiceOfTheMeshWritesEvenWithATenantsToken() {
    String token = broker.secretsToken("through");
    for (String service : List.of("scheduler-svc", "node-agent", "egress-gateway")) {
      Channel channel =
          TestBroker.bearing(broker.peer(service, "x1", broker.app().tenantPort()), token);
      assertRefused(
          () -> SecretServiceGrpc.newBlockingStub(channel).putSecret(put("k", VALUE).build()),
          Status.Code.PERMISSION_DENIED,
          ErrorReason.ERROR_REASON_THROUGH_SCHEDULER);
      assertRefused(
          () ->
              SecretServiceGrpc.newBlockingStub(channel)
                  .listSecrets(ListSecretsRequest.getDefaultInstance()),
          Status.Code.PERMISSION_DENIED,
          ErrorReason.ERROR_REASON_THROUGH_SCHEDULER);
    }
  }

  @Test
  void theMeshListenerHasNoSecretService() {
    Channel channel =
        TestBroker.bearing(
            broker.peer("scheduler-svc", "s1", broker.app().meshPort()),
            broker.secretsToken("mesh"));
    Assertions.assertThatThrownBy(
            () -> SecretServiceGrpc.newBlockingStub(channel).putSecret(put("k", VALUE).build()))
        .hasMessageContaining("UNIMPLEMENTED");
  }

  @Test
  void aCompressedValueIsRefusedBeforeItIsUnpacked() {
    String token = broker.secretsToken("gzip");
    assertRefused(
        () -> broker.secrets(token).withCompression("gzip").putSecret(put("k", VALUE).build()),
        INVALID,
        ErrorReason.ERROR_REASON_INVALID_ARGUMENT);
  }

  @Test
  void operatorsAloneRegisterTokensAndARemovedOneIsDeadAtOnce() {
    String token = broker.secretsToken("tokens");
    var secrets = broker.secrets(token);
    var _ = secrets.listSecrets(ListSecretsRequest.getDefaultInstance());
    String id =
        broker
            .operator()
            .listTokens(ListTokensRequest.newBuilder().setTenant("tokens").build())
            .getTokens(0)
            .getId();
    assertRefused(
        () ->
            TokenServiceGrpc.newBlockingStub(broker.tenant(token))
                .removeToken(RemoveTokenRequest.newBuilder().setId(id).build()),
        Status.Code.PERMISSION_DENIED,
        ErrorReason.ERROR_REASON_PEER_NOT_ALLOWED);
    assertRefused(
        () ->
            TokenServiceGrpc.newBlockingStub(
                    broker.peer("scheduler-svc", "s1", broker.app().tenantPort()))
                .listTokens(ListTokensRequest.getDefaultInstance()),
        Status.Code.PERMISSION_DENIED,
        ErrorReason.ERROR_REASON_PEER_NOT_ALLOWED);
    var _ = broker.operator().removeToken(RemoveTokenRequest.newBuilder().setId(id).build());
    assertRefused(
        () -> secrets.listSecrets(ListSecretsRequest.getDefaultInstance()),
        Status.Code.UNAUTHENTICATED,
        ErrorReason.ERROR_REASON_TOKEN_INVALID);
  }

  @Test
  void anIdOrAHashIsNotGivenTwice() {
    RegisterTokenRequest request =
        RegisterTokenRequest.newBuilder()
            .setId("tk-zzzzzzzzzzzzzzzz")
            .setTenant("dup")
            .addScopes("secrets:read")
            .setSha256(ByteString.copyFrom(TokenHashes.sha256("dup-token")))
            .build();
    assertThat(broker.operator().registerToken(request))
        .isEqualTo(broker.operator().registerToken(request));
    assertRefused(
        () -> broker.operator().registerToken(request.toBuilder().setTenant("other").build()),
        Status.Code.ALREADY_EXISTS,
        ErrorReason.ERROR_REASON_REQUEST_ID_REUSED);
    for (RegisterTokenRequest bad :
        List.of(
            request.toBuilder().setId("tk-1").build(),
            request.toBuilder().setTenant("A").build(),
            request.toBuilder().addScopes("everything").build(),
            request.toBuilder().clearScopes().build(),
            request.toBuilder()
                .setId("tk-yyyyyyyyyyyyyyyy")
                .setSha256(ByteString.copyFromUtf8("short"))
                .build())) {
      assertRefused(
          () -> broker.operator().registerToken(bad),
          INVALID,
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT);
    }
  }
}
