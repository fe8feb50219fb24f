package dev.cofferdam.broker.oauth;

import dev.cofferdam.broker.policy.OAuth;
import dev.cofferdam.broker.secret.SecretValue;
import java.time.Duration;

/** The seam to those who give access tokens. Safe for use by several threads; calls block. */
public interface TokenEndpoint {
  /**
   * @param within all of the time that there is, the request included
   * @throws TokenException where there is no connection to the very host that is meant
   */
  Connection connect(OAuth client, Duration within);

  /** Verified, and for one request. */
  interface Connection extends AutoCloseable {
    /**
     * @param secret the client's; stays the caller's
     * @return for the caller to close
     * @throws TokenException where there is no token
     */
    AccessToken ask(SecretValue secret);

    @Override
    void close();
  }
}
