package dev.cofferdam.scheduler.lifecycle;

import dev.cofferdam.scheduler.sandbox.TimeoutAction;
import dev.cofferdam.scheduler.store.RequestStore.RequestKey;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;

/**
 * A fork that passed every check that needs no record.
 *
 * @param request empty: not idempotent
 * @param sandbox the source
 * @param count of copies, at least 1
 * @param labels of each copy
 * @param lifetime at least 1 s; empty: no end
 */
public record ForkSpec(
    Optional<RequestKey> request,
    String sandbox,
    int count,
    Map<String, String> labels,
    Optional<Duration> lifetime,
    TimeoutAction timeoutAction) {
  public ForkSpec {
    if (count < 1) {
      throw new IllegalArgumentException("count is " + count + ", expected at least 1");
    }
    labels = Map.copyOf(labels);
  }
}
