package dev.cofferdam.scheduler.lifecycle;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Semaphore;

/**
 * Work on sandboxes in the background, so much of it at a time. What waits already is not added
 * again: housekeeping adds all that is left to do with every pass. Safe for use by several threads.
 */
final class Backlog implements AutoCloseable {
  private final Semaphore parallel;
  private final Set<String> waiting = ConcurrentHashMap.newKeySet();
  private final Set<String> busy = ConcurrentHashMap.newKeySet();
  private final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();

  Backlog(int parallel) {
    this.parallel = new Semaphore(parallel);
  }

  /**
   * @param sandbox of which one piece of work waits at most
   */
  void add(String sandbox, Runnable work) {
    if (waiting.add(sandbox)) {
      threads.execute(() -> {
        parallel.acquireUninterruptibly();
        try {
          // Before the work looks at the record: what is added from now on may be news to it.
          waiting.remove(sandbox);
          work.run();
        } finally {
          parallel.release();
        }
      });
    }
  }

  /**
   * As {@link #add}, and nothing where work added by this is not over either: for what is looked
   * after again and again anyhow.
   */
  void addUnlessBusy(String sandbox, Runnable work) {
    if (busy.add(sandbox)) {
      threads.execute(() -> {
        parallel.acquireUninterruptibly();
        try {
          work.run();
        } finally {
          busy.remove(sandbox);
          parallel.release();
        }
      });
    }
  }

  @Override
  public void close() {
    Shutdown.gently(threads);
  }
}
