package dev.cofferdam.scheduler.lifecycle;

import java.time.Duration;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * The creates that this process drives at the moment. A record that says STARTING and is not here
 * has lost its driver. Safe for use by several threads.
 */
final class Creations {
  private final UUID process;
  private final Map<String, CompletableFuture<Void>> running = new ConcurrentHashMap<>();

  Creations(UUID process) {
    this.process = process;
  }

  UUID process() {
    return process;
  }

  /** Before the record is stored. */
  void begin(String sandbox) {
    running.put(sandbox, new CompletableFuture<>());
  }

  /** After the last thing that the create does. */
  void end(String sandbox) {
    CompletableFuture<Void> done = running.remove(sandbox);
    if (done != null) {
      done.complete(null);
    }
  }

  boolean contains(String sandbox) {
    return running.containsKey(sandbox);
  }

  /** Returns when no create of it is under way, or after {@code limit}. */
  void await(String sandbox, Duration limit) {
    @Nullable CompletableFuture<Void> done = running.get(sandbox);
    if (done != null) {
      var _ = done.copy().completeOnTimeout(null, limit.toMillis(), TimeUnit.MILLISECONDS).join();
    }
  }
}
