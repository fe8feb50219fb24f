package dev.cofferdam.broker.oauth;

import dev.cofferdam.broker.secret.ValueCache;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.time.Duration;
import java.time.Instant;

/** For tests of what has to do with no access token. */
public final class NoTokens {
  private NoTokens() {}

  public static AccessTokens of(ValueCache values) {
    return new AccessTokens(
        (_, _) -> {
          throw TokenException.unavailable("no test's");
        },
        values,
        () -> Instant.EPOCH,
        Duration.ZERO,
        Duration.ZERO,
        1,
        new SimpleMeterRegistry());
  }
}
