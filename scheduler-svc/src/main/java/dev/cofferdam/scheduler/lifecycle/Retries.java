package dev.cofferdam.scheduler.lifecycle;

import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * When work that failed is due again: after a second, then after twice as long each time, up to
 * half a minute. Safe for use by several threads.
 */
final class Retries {
  private static final Duration FIRST = Duration.ofSeconds(1);
  private static final Duration LAST = Duration.ofSeconds(30);

  private final InstantSource clock;
  private final Map<String, Retry> retries = new ConcurrentHashMap<>();

  private record Retry(Duration pause, Instant notBefore) {}

  Retries(InstantSource clock) {
    this.clock = clock;
  }

  boolean isDue(String id) {
    Retry retry = retries.get(id);
    return retry == null || !clock.instant().isBefore(retry.notBefore());
  }

  /** How an attempt went. */
  void note(String id, boolean done) {
    if (done) {
      retries.remove(id);
      return;
    }
    retries.compute(
        id,
        (_, before) -> {
          Duration pause = before == null ? FIRST : before.pause().multipliedBy(2);
          Duration bounded = pause.compareTo(LAST) > 0 ? LAST : pause;
          return new Retry(bounded, clock.instant().plus(bounded));
        });
  }

  /** Something came back: whatever waits is due now. */
  void allNow() {
    retries.clear();
  }
}
