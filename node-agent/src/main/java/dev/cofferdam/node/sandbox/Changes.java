package dev.cofferdam.node.sandbox;

import java.time.InstantSource;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Numbers the changes of sandboxes' states, so that a report that was overtaken is told from a
 * later one. They rise over restarts of the node agent too, for as long as the clock does.
 */
final class Changes {
  private final AtomicLong last;
  private final Map<String, Long> bySandbox = new ConcurrentHashMap<>();

  Changes(InstantSource clock) {
    last = new AtomicLong(clock.millis());
  }

  void changed(String sandbox) {
    bySandbox.put(sandbox, last.incrementAndGet());
  }

  /** Of the state that it is in now. */
  long of(String sandbox) {
    return bySandbox.computeIfAbsent(sandbox, _ -> last.incrementAndGet());
  }

  void forget(String sandbox) {
    bySandbox.remove(sandbox);
  }
}
