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

  /** A caller of a method that asks for nobody in particular (health, reflection). */
  record Anonymous() implements Caller {}
}
