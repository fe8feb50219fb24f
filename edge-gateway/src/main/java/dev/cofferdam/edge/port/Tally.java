package dev.cofferdam.edge.port;

import dev.cofferdam.edge.protocol.HttpError;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** How many exchanges each of many has at a time. Safe for use by several threads. */
final class Tally {
  private final Map<String, Integer> counts = new ConcurrentHashMap<>();
  private final int max;
  private final String of;

  /**
   * @param max for each
   * @param of what they are, for people
   */
  Tally(int max, String of) {
    this.max = max;
    this.of = of;
  }

  /** One more, until it is closed. */
  interface Place extends AutoCloseable {
    @Override
    void close();
  }

  /**
   * @throws HttpError 429 where it has as many as it may
   */
  Place take(String key) throws HttpError {
    boolean[] taken = new boolean[1];
    counts.compute(
        key,
        (_, count) -> {
          int before = count == null ? 0 : count;
          taken[0] = before < max;
          return taken[0] ? Integer.valueOf(before + 1) : count;
        });
    if (!taken[0]) {
      throw new HttpError(
          429, "TOO_MANY_REQUESTS", "this " + of + " has as many requests as it may: " + max);
    }
    return () -> counts.computeIfPresent(key, (_, count) -> count == 1 ? null : count - 1);
  }
}
