package dev.cofferdam.broker.api;

import dev.cofferdam.broker.secret.SecretRules;
import dev.cofferdam.broker.secret.SecretValue;
import java.util.Optional;

/**
 * A request that came with a value, which it owns.
 *
 * @param message everything but the value
 * @param kept the value; empty where it is longer than any may be
 * @param length of the value as sent, bytes
 */
record ValueRequest<T>(T message, Optional<SecretValue> kept, long length)
    implements AutoCloseable {
  SecretValue value() {
    return kept.orElseThrow(() -> SecretRules.tooLong(length));
  }

  @Override
  public void close() {
    kept.ifPresent(SecretValue::close);
  }
}
