package dev.cofferdam.scheduler.sandbox;

import java.time.Duration;
import java.time.Instant;
import java.util.Optional;

/**
 * When a sandbox ends or rests by itself.
 *
 * @param expireTime empty: no end of its own
 * @param action at {@code expireTime}
 * @param idleTimeout so long without anything to do, and its node suspends it; at least 1 ms.
 *     Empty: never
 */
public record Lifetime(
    Optional<Instant> expireTime, TimeoutAction action, Optional<Duration> idleTimeout) {
  public Lifetime {
    if (idleTimeout.isPresent() && idleTimeout.get().toMillis() < 1) {
      throw new IllegalArgumentException(
          "idleTimeout is " + idleTimeout.get() + ", expected at least 1 ms");
    }
  }

  Lifetime until(Optional<Instant> expire) {
    return new Lifetime(expire, action, idleTimeout);
  }

  public boolean isOver(Instant now) {
    return expireTime.filter(end -> !end.isAfter(now)).isPresent();
  }
}
