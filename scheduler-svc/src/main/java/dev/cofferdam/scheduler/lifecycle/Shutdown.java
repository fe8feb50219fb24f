package dev.cofferdam.scheduler.lifecycle;

import java.util.concurrent.ExecutorService;
import java.util.concurrent.TimeUnit;

/** How this package's threads end. */
final class Shutdown {
  /** Longer than most of what they do; what takes longer is taken up by the next process. */
  private static final long GRACE_S = 3;

  private Shutdown() {}

  /** Interrupts only what does not end by itself: an interrupt breaks a database connection. */
  static void gently(ExecutorService executor) {
    executor.shutdown();
    try {
      if (!executor.awaitTermination(GRACE_S, TimeUnit.SECONDS)) {
        executor.shutdownNow();
      }
    } catch (InterruptedException e) {
      executor.shutdownNow();
      Thread.currentThread().interrupt();
    }
  }
}
