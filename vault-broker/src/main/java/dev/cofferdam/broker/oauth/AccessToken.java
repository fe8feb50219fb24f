package dev.cofferdam.broker.oauth;

import dev.cofferdam.broker.secret.SecretValue;
import java.time.Duration;

/**
 * What a token endpoint gave.
 *
 * @param value owned
 * @param lifetime from the request on
 */
public record AccessToken(SecretValue value, Duration lifetime) implements AutoCloseable {
  @Override
  public void close() {
    value.close();
  }
}
