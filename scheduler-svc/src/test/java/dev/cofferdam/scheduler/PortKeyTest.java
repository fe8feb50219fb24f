package dev.cofferdam.scheduler;

import static dev.cofferdam.scheduler.Refused.assertRefused;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.protobuf.ByteString;
import com.google.protobuf.Duration;
import dev.cofferdam.kit.call.ExposedHost;
import dev.cofferdam.kit.call.PortKeys;
import dev.cofferdam.kit.call.TokenHashes;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.v1.CheckPortKeyRequest;
import dev.cofferdam.v1.CreatePortKeyRequest;
import dev.cofferdam.v1.CreatePortKeyResponse;
import dev.cofferdam.v1.DeletePortKeyRequest;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.FileServiceGrpc;
import dev.cofferdam.v1.ForwardRequest;
import dev.cofferdam.v1.ForwardResponse;
import dev.cofferdam.v1.ListPortKeysRequest;
import dev.cofferdam.v1.PortKey;
import dev.cofferdam.v1.PortKeyServiceGrpc;
import dev.cofferdam.v1.PortServiceGrpc;
import dev.cofferdam.v1.StatFileRequest;
import io.grpc.Status;
import io.grpc.stub.BlockingClientCall;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Keys for ports: what they open, what they do not, and how they end. */
final class PortKeyTest extends MeshTest {
  private static final int PORT = 8080;

  private PortKeyServiceGrpc.PortKeyServiceBlockingStub keys(String token) {
    return PortKeyServiceGrpc.newBlockingStub(mesh.tenant(token))
        .withDeadlineAfter(Mesh.PATIENCE_S, TimeUnit.SECONDS);
  }

  private CreatePortKeyResponse key(CreatePortKeyRequest.Builder request) {
    return keys(token).createPortKey(request.build());
  }

  private static CreatePortKeyRequest.Builder of(String sandbox) {
    return CreatePortKeyRequest.newBuilder().setSandbox(sandbox).setPort(PORT);
  }

  private static ForwardRequest.Builder first(String sandbox, int port) {
    return ForwardRequest.newBuilder().setSandbox(sandbox).setPort(port);
  }

  private String forward(String credential, ForwardRequest first) throws Exception {
    BlockingClientCall<ForwardRequest, ForwardResponse> call =
        PortServiceGrpc.newBlockingV2Stub(mesh.tenant(credential))
            .withDeadlineAfter(Mesh.PATIENCE_S, TimeUnit.SECONDS)
            .forward();
    call.write(first);
    call.write(ForwardRequest.newBuilder().setData(ByteString.copyFromUtf8("hello")).build());
    call.halfClose();
    StringBuilder said = new StringBuilder();
    for (ForwardResponse answer = call.read(); answer != null; answer = call.read()) {
      said.append(answer.getData().toStringUtf8());
    }
    return said.toString();
  }

  private void assertShut(String credential, ForwardRequest first) {
    assertThatThrownBy(() -> forward(credential, first))
        .extracting(thrown -> Refusals.reason(thrown).orElseThrow())
        .isEqualTo(ErrorReason.ERROR_REASON_TOKEN_INVALID);
  }

  @Test
  void aKeyOpensItsPortAndNothingElse() throws Exception {
    String id = create().getId();
    String other = create().getId();
    String secret = key(of(id)).getSecret();
    assertThat(secret).matches("cfk_[A-Za-z0-9_-]{43}");
    assertThat(forward(secret, first(id, PORT).build())).isEqualTo("hello");
    assertThat(mesh.node.tokensSeen).containsExactly("");

    assertShut(secret, first(id, PORT + 1).build());
    assertShut(secret, first(other, PORT).build());
    assertShut(secret, first("", PORT).build());
    assertShut(secret, ForwardRequest.getDefaultInstance());
    assertShut(
        secret, first(id, PORT).clearPort().setData(ByteString.copyFromUtf8("hello")).build());
    assertShut(secret + "x", first(id, PORT).build());
    assertShut("cfk_", first(id, PORT).build());
    assertThat(mesh.node.tokensSeen).hasSize(1);
  }

  /** Whoever reads a field twice takes the last: the first may be what was allowed. */
  @Test
  void aMessageThatNamesTwoPortsNamesNone() throws Exception {
    String id = create().getId();
    String other = create().getId();
    String secret = key(of(id)).getSecret();
    ByteString right = first(id, PORT).build().toByteString();
    for (ForwardRequest more :
        List.of(
            ForwardRequest.newBuilder().setPort(PORT + 1).build(),
            ForwardRequest.newBuilder().setSandbox(other).build(),
            ForwardRequest.newBuilder().setData(ByteString.copyFromUtf8("x")).build())) {
      // As unknown fields, which the client sends as they stand.
      ForwardRequest twice =
          ForwardRequest.newBuilder()
              .setUnknownFields(
                  com.google.protobuf.UnknownFieldSet.parseFrom(right.concat(more.toByteString())))
              .build();
      assertShut(secret, twice);
    }
    assertThat(mesh.node.tokensSeen).isEmpty();
  }

  @Test
  void aKeyIsGoodForNoOtherMethod() {
    String id = create().getId();
    String secret = key(of(id)).getSecret();
    String everybodys = key(of(id).setPublic(true)).getSecret();
    for (String key : List.of(secret, everybodys)) {
      for (org.assertj.core.api.ThrowableAssert.ThrowingCallable call :
          List.<org.assertj.core.api.ThrowableAssert.ThrowingCallable>of(
              () -> mesh.sandboxes(key).getSandbox(get(id)),
              () -> mesh.sandboxes(key).deleteSandbox(delete(id)),
              () -> keys(key).createPortKey(of(id).build()),
              () -> keys(key).listPortKeys(ListPortKeysRequest.newBuilder().setSandbox(id).build()),
              () -> keys(key).deletePortKey(DeletePortKeyRequest.getDefaultInstance()),
              () ->
                  FileServiceGrpc.newBlockingStub(mesh.tenant(key))
                      .statFile(
                          StatFileRequest.newBuilder().setSandbox(id).setPath("/").build()))) {
        assertRefused(call, Status.Code.UNAUTHENTICATED, ErrorReason.ERROR_REASON_TOKEN_INVALID);
      }
    }
  }

  @Test
  void aKeyThatIsTakenBackIsRefusedFromTheNextConnectionOn() throws Exception {
    String id = create().getId();
    CreatePortKeyResponse made = key(of(id));
    CreatePortKeyResponse kept = key(of(id));
    DeletePortKeyRequest delete =
        DeletePortKeyRequest.newBuilder().setId(made.getKey().getId()).build();
    var _ = keys(mesh.token("other", Mesh.ALL_SCOPES)).deletePortKey(delete);
    assertThat(forward(made.getSecret(), first(id, PORT).build())).isEqualTo("hello");
    var _ = keys(token).deletePortKey(delete);
    assertShut(made.getSecret(), first(id, PORT).build());
    assertRefused(
        () -> check(made.getSecret(), id, PORT),
        Status.Code.UNAUTHENTICATED,
        ErrorReason.ERROR_REASON_TOKEN_INVALID);
    assertThat(forward(kept.getSecret(), first(id, PORT).build())).isEqualTo("hello");
    var _ = keys(token).deletePortKey(delete);
    assertThat(list(token, id)).extracting(PortKey::getId).containsExactly(kept.getKey().getId());
  }

  @Test
  void aKeyEndsWhenItWasSaidTo() throws Exception {
    String id = create().getId();
    CreatePortKeyResponse made =
        key(of(id).setLifetime(Duration.newBuilder().setSeconds(60).build()));
    assertThat(made.getKey().getExpireTime().getSeconds())
        .isEqualTo(made.getKey().getCreateTime().getSeconds() + 60);
    mesh.clock.advance(java.time.Duration.ofSeconds(59));
    assertThat(forward(made.getSecret(), first(id, PORT).build())).isEqualTo("hello");
    mesh.clock.advance(java.time.Duration.ofSeconds(1));
    assertShut(made.getSecret(), first(id, PORT).build());
    assertThat(list(token, id)).isEmpty();
  }

  @Test
  void aPublicPortIsForEverybodyWhileItIsSo() throws Exception {
    String id = create().getId();
    String everybodys = PortKeys.ofEverybody(id, PORT);
    assertShut(everybodys, first(id, PORT).build());
    CreatePortKeyResponse made = key(of(id).setPublic(true));
    assertThat(made.getSecret()).isEqualTo(everybodys);
    assertThat(key(of(id).setPublic(true)).getKey()).isEqualTo(made.getKey());
    assertThat(forward(everybodys, first(id, PORT).build())).isEqualTo("hello");
    assertShut(PortKeys.ofEverybody(id, PORT + 1), first(id, PORT + 1).build());
    assertShut(everybodys, first(id, PORT + 1).build());
    var _ =
        keys(token)
            .deletePortKey(DeletePortKeyRequest.newBuilder().setId(made.getKey().getId()).build());
    assertShut(everybodys, first(id, PORT).build());
  }

  @Test
  void aKeyIsToldWhatItIsForAndATokenIsNot() {
    String id = create().getId();
    CreatePortKeyResponse made = key(of(id));
    assertThat(check(made.getSecret(), id, PORT)).isEqualTo(made.getKey());
    assertRefused(
        () -> check(made.getSecret(), id, PORT + 1),
        Status.Code.UNAUTHENTICATED,
        ErrorReason.ERROR_REASON_TOKEN_INVALID);
    assertRefused(
        () -> check(token, id, PORT),
        Status.Code.PERMISSION_DENIED,
        ErrorReason.ERROR_REASON_SCOPE_MISSING);
  }

  private PortKey check(String credential, String sandbox, int port) {
    return keys(credential)
        .checkPortKey(CheckPortKeyRequest.newBuilder().setSandbox(sandbox).setPort(port).build());
  }

  private List<PortKey> list(String credential, String sandbox) {
    return keys(credential)
        .listPortKeys(ListPortKeysRequest.newBuilder().setSandbox(sandbox).build())
        .getKeysList();
  }

  @Test
  void nobodyMakesOrSeesKeysOfAnothersSandbox() {
    String id = create().getId();
    String made = key(of(id)).getKey().getId();
    String stranger = mesh.token("other", Mesh.ALL_SCOPES);
    assertThat(list(stranger, id)).isEmpty();
    assertThat(list(token, id)).extracting(PortKey::getId).containsExactly(made);
    assertRefused(
        () -> keys(stranger).createPortKey(of(id).build()),
        Status.Code.NOT_FOUND,
        ErrorReason.ERROR_REASON_SANDBOX_NOT_FOUND);
    assertRefused(
        () -> keys(mesh.token("acme", "sandboxes:write,exec")).createPortKey(of(id).build()),
        Status.Code.PERMISSION_DENIED,
        ErrorReason.ERROR_REASON_SCOPE_MISSING);
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1024, 65536, -1})
  void aPortThatIsNone(int port) {
    String id = create().getId();
    assertRefused(
        () -> key(of(id).setPort(port)),
        Status.Code.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_INVALID_ARGUMENT);
  }

  @Test
  void aSandboxHasAHundredKeysAndThoseThatHaveEndedDoNotCount() {
    String id = create().getId();
    Duration minute = Duration.newBuilder().setSeconds(60).build();
    for (int i = 0; i < 100; i++) {
      var _ = key(of(id).setLifetime(minute));
    }
    assertRefused(
        () -> key(of(id)), Status.Code.RESOURCE_EXHAUSTED, ErrorReason.ERROR_REASON_QUOTA_EXCEEDED);
    mesh.clock.advance(java.time.Duration.ofSeconds(60));
    assertThat(key(of(id)).getSecret()).isNotEmpty();
  }

  @Test
  void noKeyIsInTheDatabase() throws Exception {
    String id = create().getId();
    String secret = key(of(id)).getSecret();
    try (var connection = mesh.database.connect();
        var statement = connection.createStatement();
        var rows = statement.executeQuery("select k::text, sha256 from port_keys k")) {
      assertThat(rows.next()).isTrue();
      assertThat(rows.getString(1)).doesNotContain(secret);
      assertThat(rows.getBytes(2)).isEqualTo(TokenHashes.sha256(secret));
    }
  }

  @Test
  void aSandboxThatHasEndedHasNoPortForAnyKey() {
    String id = create().getId();
    String secret = key(of(id)).getSecret();
    var _ = acme.deleteSandbox(delete(id));
    assertThatThrownBy(() -> forward(secret, first(id, PORT).build()))
        .extracting(thrown -> Refusals.reason(thrown).orElseThrow())
        .isEqualTo(ErrorReason.ERROR_REASON_SANDBOX_NOT_RUNNING);
    assertRefused(
        () -> key(of(id)), Status.Code.NOT_FOUND, ErrorReason.ERROR_REASON_SANDBOX_NOT_FOUND);
  }

  private static String host(String sandbox) {
    return "abcdefghij27-" + sandbox.substring(3);
  }

  private static CreatePortKeyRequest.Builder exposed(String sandbox) {
    return of(sandbox).setPublic(true).setHost(host(sandbox));
  }

  private PortKey whatItIsFor(String credential) {
    return keys(credential).checkPortKey(CheckPortKeyRequest.getDefaultInstance());
  }

  private void assertKnownToNobody(String key) {
    assertRefused(
        () -> whatItIsFor(key),
        Status.Code.UNAUTHENTICATED,
        ErrorReason.ERROR_REASON_TOKEN_INVALID);
  }

  @Test
  void aHostStandsForOnePortUntilItIsTakenBack() throws Exception {
    String id = create().getId();
    String everybodys = new ExposedHost(host(id)).key();
    assertKnownToNobody(everybodys);
    CreatePortKeyResponse made = key(exposed(id));
    assertThat(made.getSecret()).isEqualTo(everybodys).isEqualTo("cfk_host-" + host(id));
    assertThat(made.getKey().getHost()).isEqualTo(host(id));
    assertThat(whatItIsFor(everybodys)).isEqualTo(made.getKey());
    assertThat(check(everybodys, id, PORT)).isEqualTo(made.getKey());
    assertThat(forward(everybodys, first(id, PORT).build())).isEqualTo("hello");
    assertShut(everybodys, first(id, PORT + 1).build());
    assertShut(PortKeys.ofEverybody(id, PORT), first(id, PORT).build());
    assertThat(list(token, id)).containsExactly(made.getKey());
    var _ =
        keys(token)
            .deletePortKey(DeletePortKeyRequest.newBuilder().setId(made.getKey().getId()).build());
    assertKnownToNobody(everybodys);
    assertShut(everybodys, first(id, PORT).build());
  }

  @Test
  void aHostThatIsTakenStaysWhatItIs() throws Exception {
    String id = create().getId();
    CreatePortKeyResponse made = key(exposed(id));
    assertRefused(
        () -> key(exposed(id).setPort(PORT + 1)),
        Status.Code.ALREADY_EXISTS,
        ErrorReason.ERROR_REASON_HOST_TAKEN);
    assertThat(key(exposed(id))).isEqualTo(made);
    assertThat(whatItIsFor(made.getSecret()).getPort()).isEqualTo(PORT);
    String second = host(id).replace('a', 'z');
    CreatePortKeyResponse other =
        key(exposed(id).setHost(second.substring(0, 12) + host(id).substring(12)));
    assertThat(list(token, id)).hasSize(2).contains(made.getKey(), other.getKey());
  }

  @Test
  void aHostIsOfItsSandboxAndForEverybody() {
    String id = create().getId();
    String other = create().getId();
    String stranger = mesh.token("other", Mesh.ALL_SCOPES);
    for (CreatePortKeyRequest.Builder request :
        List.of(
            of(id).setHost(host(id)),
            exposed(id).setHost(host(other)),
            exposed(id).setHost("shop"),
            exposed(id).setHost(host(id).toUpperCase(java.util.Locale.ROOT)),
            exposed(id).setHost("a" + host(id)),
            exposed(id).setHost(host(id) + "\0"),
            exposed(id).setHost("a.b" + host(id).substring(3)),
            exposed(id).setPort(1024),
            exposed(id).setLifetime(Duration.newBuilder().setSeconds(60)))) {
      assertRefused(
          () -> key(request),
          Status.Code.INVALID_ARGUMENT,
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT);
    }
    assertRefused(
        () -> keys(stranger).createPortKey(exposed(id).build()),
        Status.Code.NOT_FOUND,
        ErrorReason.ERROR_REASON_SANDBOX_NOT_FOUND);
    assertThat(list(token, id)).isEmpty();
    assertKnownToNobody(new ExposedHost(host(id)).key());
  }

  /** Whoever has a secret key without its URL is not told where it fits. */
  @Test
  void noOtherKeyIsToldWhatItIsFor() {
    String id = create().getId();
    assertKnownToNobody(key(of(id)).getSecret());
    assertKnownToNobody(key(of(id).setPublic(true)).getSecret());
    String exposed = key(exposed(id)).getSecret();
    for (CheckPortKeyRequest.Builder half :
        List.of(
            CheckPortKeyRequest.newBuilder().setSandbox(id),
            CheckPortKeyRequest.newBuilder().setPort(PORT))) {
      assertRefused(
          () -> keys(exposed).checkPortKey(half.build()),
          Status.Code.UNAUTHENTICATED,
          ErrorReason.ERROR_REASON_TOKEN_INVALID);
    }
  }

  /** To whoever asks, as if it had never been: another key may tell of an end. */
  @Test
  void theHostOfASandboxThatHasEndedIsKnownToNobody() {
    String id = create().getId();
    String everybodys = key(exposed(id)).getSecret();
    var _ = acme.deleteSandbox(delete(id));
    assertKnownToNobody(everybodys);
    assertShut(everybodys, first(id, PORT).build());
    assertRefused(
        () -> key(exposed(id)), Status.Code.NOT_FOUND, ErrorReason.ERROR_REASON_SANDBOX_NOT_FOUND);
  }

  /** What the program refuses, the schema does too. */
  @Test
  void theSchemaHoldsAHostToItsSandboxAndOnce() throws Exception {
    String id = create().getId();
    String other = create().getId();
    String key = key(exposed(id)).getKey().getId();
    String link = key(of(id)).getKey().getId();
    String public1 = key(of(id).setPublic(true)).getKey().getId();
    String update = "update port_keys set host = '%s' where id = '%s'";
    try (var connection = mesh.database.connect();
        var statement = connection.createStatement()) {
      for (String wrong :
          List.of(
              update.formatted(host(other), key),
              update.formatted("shop", key),
              update.formatted(host(id).replace("abc", "zzz"), link),
              update.formatted(host(id), public1))) {
        assertThatThrownBy(() -> statement.execute(wrong))
            .as(wrong)
            .isInstanceOf(java.sql.SQLException.class);
      }
    }
  }
}
