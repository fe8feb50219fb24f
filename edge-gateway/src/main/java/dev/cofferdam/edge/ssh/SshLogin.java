package dev.cofferdam.edge.ssh;

import dev.cofferdam.edge.mesh.DenoToken;
import dev.cofferdam.edge.mesh.MeshClient;
import dev.cofferdam.edge.mesh.Tenant;
import dev.cofferdam.v1.CloseSshSessionRequest;
import io.grpc.StatusException;
import java.util.Optional;
import org.apache.sshd.common.AttributeRepository.AttributeKey;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Somebody who got in: one sandbox, and the credential that opens it. Given up once the connection
 * is gone and nothing that it began needs it any more. Safe for use by several threads.
 */
final class SshLogin {
  /** Of the connection's session. */
  static final AttributeKey<SshLogin> OF_SESSION = new AttributeKey<>();

  private static final Logger log = LoggerFactory.getLogger(SshLogin.class);

  private final String sandbox;
  private final Tenant tenant;
  private final String key;
  private int users = 1;

  /**
   * @param credential of the session at the scheduler
   * @param key fingerprint, for the log
   */
  SshLogin(MeshClient mesh, String sandbox, String credential, String key) {
    this.sandbox = sandbox;
    this.tenant = mesh.tenant(new DenoToken(credential, Optional.empty()));
    this.key = key;
  }

  String sandbox() {
    return sandbox;
  }

  Tenant tenant() {
    return tenant;
  }

  String key() {
    return key;
  }

  /** Whatever is begun with it says so, and when it is done. */
  synchronized void begun() {
    users++;
  }

  /** Blocks for a call where it was the last. */
  void done() {
    synchronized (this) {
      users--;
      if (users > 0) {
        return;
      }
    }
    try {
      var _ = tenant.sshKeys().closeSshSession(CloseSshSessionRequest.getDefaultInstance());
    } catch (StatusException e) {
      // It ends by itself, a day after it began.
      log.atWarn().setMessage("ssh_session_not_closed").addKeyValue("why", e.getMessage()).log();
    }
  }
}
