package dev.cofferdam.kit.call;

import java.util.Optional;

/**
 * Knows tokens by their hashes. Called on a virtual thread; may block; safe for use by several
 * threads.
 */
@FunctionalInterface
public interface TokenVerifier {
  /**
   * Empty for a token that is not registered here. Throws a Refusal where the answer cannot be had.
   */
  Optional<Caller.Tenant> verify(String token);

  /** Empty for a key that is not, or no longer, for any port. May refuse likewise. */
  default Optional<Caller.PortKey> portKey(String key) {
    return Optional.empty();
  }

  /** Empty for a credential of no SSH session, or of one that is over. May refuse likewise. */
  default Optional<Caller.SshSession> sshSession(String credential) {
    return Optional.empty();
  }

  /** For listeners that have no tenants. */
  static TokenVerifier none() {
    return token -> Optional.empty();
  }
}
