package dev.cofferdam.edge.ssh;

import com.google.protobuf.ByteString;
import dev.cofferdam.edge.mesh.MeshClient;
import dev.cofferdam.v1.OpenSshSessionRequest;
import io.grpc.Status;
import io.grpc.StatusException;
import io.micrometer.core.instrument.MeterRegistry;
import java.io.IOException;
import java.security.PublicKey;
import java.util.List;
import org.apache.sshd.common.SshConstants;
import org.apache.sshd.common.config.keys.KeyUtils;
import org.apache.sshd.common.keyprovider.KeyPairProvider;
import org.apache.sshd.common.signature.BuiltinSignatures;
import org.apache.sshd.common.signature.Signature;
import org.apache.sshd.common.util.buffer.Buffer;
import org.apache.sshd.common.util.buffer.ByteArrayBuffer;
import org.apache.sshd.server.auth.pubkey.UserAuthPublicKey;
import org.apache.sshd.server.session.ServerSession;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Hands a client's signature on to the scheduler, which knows the keys. Nothing is told of which
 * there are: whether a key would do is answered yes for every one of the only kind.
 */
final class SignatureAuth extends UserAuthPublicKey {
  /** What stands before the key in its X.509 form (RFC 8410 section 4). */
  private static final int X509 = 12;

  private static final Logger log = LoggerFactory.getLogger(SignatureAuth.class);

  private final MeshClient mesh;
  private final MeterRegistry meters;

  SignatureAuth(MeshClient mesh, MeterRegistry meters) {
    super(List.of(BuiltinSignatures.ed25519));
    this.mesh = mesh;
    this.meters = meters;
  }

  static boolean mayDo(PublicKey key) {
    return KeyPairProvider.SSH_ED25519.equals(KeyUtils.getKeyType(key));
  }

  /** Waits for the scheduler, which SSHD's own checks need not: each task has a thread here. */
  @Override
  protected boolean verifySignature(
      ServerSession session,
      String user,
      String algorithm,
      PublicKey key,
      Buffer buffer,
      Signature verifier,
      byte[] signature) {
    return opened(session, user, key, signature);
  }

  private boolean opened(ServerSession session, String user, PublicKey key, byte[] signature) {
    String outcome = "failed";
    try {
      Buffer parts = new ByteArrayBuffer(signature);
      if (!parts.getString().equals(KeyPairProvider.SSH_ED25519)) {
        outcome = "refused";
        return false;
      }
      byte[] encoded = key.getEncoded();
      String credential =
          mesh.anonymousSshKeys()
              .openSshSession(
                  OpenSshSessionRequest.newBuilder()
                      .setSandbox(user)
                      .setSessionId(ByteString.copyFrom(session.getSessionId()))
                      .setPublicKey(ByteString.copyFrom(encoded, X509, encoded.length - X509))
                      .setSignature(ByteString.copyFrom(parts.getBytes()))
                      .build())
              .getCredential();
      SshLogin login = new SshLogin(mesh, user, credential, KeyUtils.getFingerPrint(key));
      session.setAttribute(SshLogin.OF_SESSION, login);
      if (!session.isOpen()) {
        // Gone meanwhile: nobody would give it up.
        login.done();
        return false;
      }
      outcome = "accepted";
      log.atInfo()
          .setMessage("ssh_accepted")
          .addKeyValue("sandbox", user)
          .addKeyValue("key", login.key())
          .log();
      return true;
    } catch (StatusException e) {
      boolean unavailable = e.getStatus().getCode() != Status.Code.UNAUTHENTICATED;
      outcome = unavailable ? "failed" : "refused";
      tell(
          session,
          unavailable
              ? "The mesh cannot be reached now; try again.\r\n"
              : ("This key opens no sandbox of that name. A key is registered by"
                  + " 'cofferdam ssh-key add'; the user name is a sandbox's id.\r\n"));
      return false;
    } catch (RuntimeException e) {
      log.atError().setMessage("ssh_authentication_failed").setCause(e).log();
      return false;
    } finally {
      meters.counter("cofferdam.edge.ssh.authentications", "outcome", outcome).increment();
    }
  }

  /** SSH_MSG_USERAUTH_BANNER, RFC 4252 section 5.4. */
  private static void tell(ServerSession session, String message) {
    try {
      Buffer banner = session.createBuffer(SshConstants.SSH_MSG_USERAUTH_BANNER);
      banner.putString(message);
      banner.putString("en");
      var _ = session.writePacket(banner);
    } catch (IOException e) {
      // It has gone.
    }
  }
}
