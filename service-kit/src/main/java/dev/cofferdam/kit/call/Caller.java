package dev.cofferdam.kit.call;

import dev.cofferdam.kit.identity.PeerIdentity;
import java.util.Set;

/** Who makes a call, verified before any handler runs. */
public sealed interface Caller {
  /** A process of the mesh, or an operator, by its client certificate. */
  record Peer(PeerIdentity identity) implements Caller {}

  /**
   * A tenant by a bearer token.
   *
   * @param tokenId the token's public id, never the token
   */
  record Tenant(String tenant, Set<String> scopes, String tokenId) implements Caller {
    public Tenant {
      scopes = Set.copyOf(scopes);
    }
  }

  /**
   * Whoever has a key for one port of one sandbox, and may nothing else.
   *
   * @param tenant whose sandbox it is
   * @param keyId the key's public id, never the key
   */
  record PortKey(String tenant, String sandbox, int port, String keyId) implements Caller {}

  /**
   * Whoever got in over SSH: may start processes in one sandbox, and connect to its ports where the
   * scopes have that.
   *
   * @param tenant whose sandbox it is
   * @param scopes of the token that the key was registered with
   * @param key the name of the key that opened it
   */
  record SshSession(String tenant, String sandbox, Set<String> scopes, String key)
      implements Caller {
    public SshSession {
      scopes = Set.copyOf(scopes);
    }
  }

  /** A caller of a method that asks for nobody in particular (health, reflection). */
  record Anonymous() implements Caller {}
}
