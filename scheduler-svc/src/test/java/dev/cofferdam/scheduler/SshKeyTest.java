package dev.cofferdam.scheduler;

import static dev.cofferdam.scheduler.Refused.assertRefused;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.protobuf.ByteString;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.scheduler.tenant.SshPublicKey;
import dev.cofferdam.v1.AttachProcessRequest;
import dev.cofferdam.v1.CloseSshSessionRequest;
import dev.cofferdam.v1.CreateSshKeyRequest;
import dev.cofferdam.v1.DeleteSshKeyRequest;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.FileServiceGrpc;
import dev.cofferdam.v1.ForwardRequest;
import dev.cofferdam.v1.ForwardResponse;
import dev.cofferdam.v1.ListProcessesRequest;
import dev.cofferdam.v1.ListSshKeysRequest;
import dev.cofferdam.v1.OpenSshSessionRequest;
import dev.cofferdam.v1.PortServiceGrpc;
import dev.cofferdam.v1.ProcessServiceGrpc;
import dev.cofferdam.v1.RemoveTokenRequest;
import dev.cofferdam.v1.SignalProcessRequest;
import dev.cofferdam.v1.SshKey;
import dev.cofferdam.v1.SshKeyServiceGrpc;
import dev.cofferdam.v1.StatFileRequest;
import io.grpc.Status;
import io.grpc.stub.BlockingClientCall;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.SecureRandom;
import java.security.Signature;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Keys for SSH: what a signature opens, what it does not, and how it ends. */
final class SshKeyTest extends MeshTest {
  private final KeyPair pair = pair();

  private SshKeyServiceGrpc.SshKeyServiceBlockingStub keys(String credential) {
    return SshKeyServiceGrpc.newBlockingStub(mesh.tenant(credential))
        .withDeadlineAfter(Mesh.PATIENCE_S, TimeUnit.SECONDS);
  }

  private static KeyPair pair() {
    try {
      return KeyPairGenerator.getInstance("Ed25519").generateKeyPair();
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException(e);
    }
  }

  private static SshPublicKey key(KeyPair pair) {
    byte[] encoded = pair.getPublic().getEncoded();
    return new SshPublicKey(ByteString.copyFrom(encoded, encoded.length - 32, 32));
  }

  private SshKey add(String name, KeyPair pair) {
    return keys(token).createSshKey(request(name, key(pair).line() + " me@home"));
  }

  private static CreateSshKeyRequest request(String name, String line) {
    return CreateSshKeyRequest.newBuilder().setName(name).setPublicKey(line).build();
  }

  private static OpenSshSessionRequest signed(KeyPair pair, String user) {
    byte[] session = new byte[32];
    new SecureRandom().nextBytes(session);
    try {
      Signature signer = Signature.getInstance("Ed25519");
      signer.initSign(pair.getPrivate());
      signer.update(key(pair).toBeSigned(session, user));
      return OpenSshSessionRequest.newBuilder()
          .setSandbox(user)
          .setSessionId(ByteString.copyFrom(session))
          .setPublicKey(key(pair).bytes())
          .setSignature(ByteString.copyFrom(signer.sign()))
          .build();
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException(e);
    }
  }

  private String open(OpenSshSessionRequest request) {
    return keys("").openSshSession(request).getCredential();
  }

  private void assertShut(OpenSshSessionRequest request) {
    assertThatThrownBy(() -> open(request))
        .hasMessage("UNAUTHENTICATED: no such key of that sandbox's tenant")
        .extracting(thrown -> Refusals.reason(thrown).orElseThrow())
        .isEqualTo(ErrorReason.ERROR_REASON_SSH_REFUSED);
  }

  private void signal(String credential, String sandbox) {
    var _ =
        ProcessServiceGrpc.newBlockingStub(mesh.tenant(credential))
            .withDeadlineAfter(Mesh.PATIENCE_S, TimeUnit.SECONDS)
            .signalProcess(
                SignalProcessRequest.newBuilder().setSandbox(sandbox).setSignal(1).build());
  }

  /** What came of it: a reason of the scheduler's, or nothing where it was let through. */
  private void assertRefusedAs(ErrorReason reason, String credential, String sandbox) {
    assertThatThrownBy(() -> signal(credential, sandbox))
        .extracting(thrown -> Refusals.reason(thrown).orElseThrow())
        .isEqualTo(reason);
  }

  private String forward(String credential, String sandbox) throws Exception {
    BlockingClientCall<ForwardRequest, ForwardResponse> call =
        PortServiceGrpc.newBlockingV2Stub(mesh.tenant(credential))
            .withDeadlineAfter(Mesh.PATIENCE_S, TimeUnit.SECONDS)
            .forward();
    call.write(ForwardRequest.newBuilder().setSandbox(sandbox).setPort(8080).build());
    call.write(ForwardRequest.newBuilder().setData(ByteString.copyFromUtf8("hello")).build());
    call.halfClose();
    StringBuilder said = new StringBuilder();
    for (ForwardResponse answer = call.read(); answer != null; answer = call.read()) {
      said.append(answer.getData().toStringUtf8());
    }
    return said.toString();
  }

  @Test
  void keysAreKeptListedAndTakenBack() {
    SshKey added = add("me", pair);
    assertThat(added.getPublicKey()).isEqualTo(key(pair).line());
    assertThat(added.getFingerprint()).matches("SHA256:[A-Za-z0-9+/]{43}");
    assertThat(add("me", pair)).as("the same again").isEqualTo(added);
    KeyPair second = pair();
    for (CreateSshKeyRequest taken :
        List.of(request("me", key(second).line()), request("you", key(pair).line()))) {
      assertRefused(
          () -> keys(token).createSshKey(taken),
          Status.Code.ALREADY_EXISTS,
          ErrorReason.ERROR_REASON_SSH_KEY_EXISTS);
    }
    var _ = add("also", second);
    assertThat(list(token)).containsExactly("also", "me");
    String other = mesh.token("other", Mesh.ALL_SCOPES);
    assertThat(list(other)).isEmpty();
    // Another team of the same person.
    var _ = keys(other).createSshKey(request("me", key(pair).line()));
    var _ = keys(other).deleteSshKey(DeleteSshKeyRequest.newBuilder().setName("also").build());
    assertThat(list(token)).containsExactly("also", "me");
    for (int i = 0; i < 2; i++) {
      var _ = keys(token).deleteSshKey(DeleteSshKeyRequest.newBuilder().setName("me").build());
    }
    assertThat(list(token)).containsExactly("also");
    assertThat(list(other)).containsExactly("me");
  }

  private List<String> list(String credential) {
    return keys(credential)
        .listSshKeys(ListSshKeysRequest.getDefaultInstance())
        .getKeysList()
        .stream()
        .map(SshKey::getName)
        .toList();
  }

  @Test
  void aHundredAreEnough() {
    for (int i = 0; i < 100; i++) {
      var _ = add("key-" + i, pair());
    }
    assertRefused(
        () -> add("more", pair()),
        Status.Code.RESOURCE_EXHAUSTED,
        ErrorReason.ERROR_REASON_QUOTA_EXCEEDED);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "ssh-ed25519",
        "ssh-ed25519 AAAA",
        "ssh-ed25519 !!!!",
        "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAQQ==",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
      })
  void whatIsNoKeyIsRefusedAndNotRepeated(String line) {
    assertThatThrownBy(() -> keys(token).createSshKey(request("me", line)))
        .hasMessageContaining("public_key")
        .hasMessageNotContaining("AAAA")
        .extracting(thrown -> Refusals.reason(thrown).orElseThrow())
        .isEqualTo(ErrorReason.ERROR_REASON_INVALID_ARGUMENT);
    assertRefused(
        () -> keys(token).createSshKey(request("Me!", key(pair).line())),
        Status.Code.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_INVALID_ARGUMENT);
  }

  @Test
  void aSignatureOpensItsSandboxAndNothingElse() throws Exception {
    var _ = add("me", pair);
    String id = create().getId();
    String other = create().getId();
    String session = open(signed(pair, id));
    assertThat(session).matches("cfs_[A-Za-z0-9_-]{43}");
    signal(session, id);
    assertThat(forward(session, id)).isEqualTo("hello");
    assertThat(mesh.node.tokensSeen).containsOnly("");

    assertRefusedAs(ErrorReason.ERROR_REASON_TOKEN_INVALID, session, other);
    assertRefusedAs(ErrorReason.ERROR_REASON_TOKEN_INVALID, session, "");
    assertRefusedAs(ErrorReason.ERROR_REASON_TOKEN_INVALID, session + "x", id);
    assertThatThrownBy(() -> forward(session, other)).hasMessageContaining("not for what is asked");
    assertThatThrownBy(() ->
            FileServiceGrpc.newBlockingStub(mesh.tenant(session))
                .statFile(StatFileRequest.newBuilder().setSandbox(id).setPath("/").build()))
        .hasMessageContaining("token is not known");
    assertThatThrownBy(() ->
            ProcessServiceGrpc.newBlockingStub(mesh.tenant(session))
                .listProcesses(ListProcessesRequest.newBuilder().setSandbox(id).build()))
        .hasMessageContaining("token is not known");
    assertThatThrownBy(
            () -> {
              var call = ProcessServiceGrpc.newBlockingV2Stub(mesh.tenant(session)).attachProcess();
              call.write(AttachProcessRequest.newBuilder().setSandbox(id).build());
              call.read();
            })
        .hasMessageContaining("token is not known");
    assertThatThrownBy(() -> keys(session).listSshKeys(ListSshKeysRequest.getDefaultInstance()))
        .hasMessageContaining("token is not known");
    assertThat(
            keys(token)
                .listSshKeys(ListSshKeysRequest.getDefaultInstance())
                .getKeys(0)
                .hasLastUseTime())
        .isTrue();
  }

  /** A stranger learns nothing of which keys and which sandboxes there are. */
  @Test
  void whateverIsWrongTheAnswerIsTheSame() {
    String id = create().getId();
    assertShut(signed(pair, id));
    var _ = add("me", pair);
    OpenSshSessionRequest right = signed(pair, id);
    KeyPair stranger = pair();
    assertShut(signed(stranger, id));
    assertShut(signed(pair, "sb-" + "a".repeat(20)));
    assertShut(signed(pair, "root"));
    assertShut(right.toBuilder().setSandbox(create().getId()).build());
    assertShut(right.toBuilder().setSessionId(ByteString.copyFrom(new byte[32])).build());
    assertShut(right.toBuilder().setSessionId(ByteString.EMPTY).build());
    assertShut(right.toBuilder().setPublicKey(ByteString.copyFrom(new byte[31])).build());
    assertShut(right.toBuilder().setPublicKey(key(stranger).bytes()).build());
    assertShut(right.toBuilder().setSignature(ByteString.copyFrom(new byte[64])).build());
    assertShut(right.toBuilder().setSignature(right.getSignature().substring(1)).build());
    // Another tenant's sandbox, with a key that the other one does not have.
    String others = mesh.token("other", Mesh.ALL_SCOPES);
    String foreign = create(mesh.sandboxes(others)).getId();
    assertShut(signed(pair, foreign));
    var _ = acme.deleteSandbox(delete(id));
    assertShut(right);
  }

  @Test
  void aSignatureOpensOneSession() {
    var _ = add("me", pair);
    String id = create().getId();
    OpenSshSessionRequest once = signed(pair, id);
    String session = open(once);
    assertShut(once);
    var _ = keys(session).closeSshSession(CloseSshSessionRequest.getDefaultInstance());
    assertRefusedAs(ErrorReason.ERROR_REASON_TOKEN_INVALID, session, id);
    assertShut(once);
    signal(open(signed(pair, id)), id);
  }

  @Test
  void aKeyIsWorthNoMoreThanItsToken() throws Exception {
    String id = create().getId();
    String little = mesh.token("acme", "exec");
    String tokenId = keys(little).createSshKey(request("me", key(pair).line())).getToken();
    String session = open(signed(pair, id));
    signal(session, id);
    assertThatThrownBy(() -> forward(session, id)).hasMessageContaining("ports");
    var _ =
        mesh.operator(mesh.port())
            .removeToken(RemoveTokenRequest.newBuilder().setId(tokenId).build());
    assertRefusedAs(ErrorReason.ERROR_REASON_TOKEN_INVALID, session, id);
    assertShut(signed(pair, id));
    assertThat(list(token)).isEmpty();
    String none = mesh.token("acme", "sandboxes:read");
    assertRefused(
        () -> keys(none).createSshKey(request("me", key(pair).line())),
        Status.Code.PERMISSION_DENIED,
        ErrorReason.ERROR_REASON_SCOPE_MISSING);
  }

  @Test
  void withTheKeyGoneASessionStartsNothingMore() {
    var _ = add("me", pair);
    String id = create().getId();
    String session = open(signed(pair, id));
    OpenSshSessionRequest used = signed(pair, id);
    var _ = open(used);
    var _ = keys(token).deleteSshKey(DeleteSshKeyRequest.newBuilder().setName("me").build());
    assertRefusedAs(ErrorReason.ERROR_REASON_TOKEN_INVALID, session, id);
    assertShut(signed(pair, id));
    // What was over with it stays so when it comes back.
    assertThat(add("me", pair).hasLastUseTime()).isFalse();
    assertRefusedAs(ErrorReason.ERROR_REASON_TOKEN_INVALID, session, id);
    assertShut(used);
    signal(open(signed(pair, id)), id);
  }
}
