package dev.cofferdam.node.sandbox;

import dev.cofferdam.node.machine.MachineException;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;

/** Work that overlaps. */
final class Tasks {
  private Tasks() {}

  /** Runs all of them and returns once all have ended. Throws what the first that failed threw. */
  static void all(ExecutorService executor, List<Runnable> works) {
    List<? extends Future<?>> tasks = works.stream().map(executor::submit).toList();
    tasks.forEach(Tasks::settle);
    tasks.forEach(Tasks::join);
  }

  /** Waits for the work and throws what it threw. */
  static void join(Future<?> task) {
    try {
      var _ = task.get();
    } catch (ExecutionException e) {
      if (e.getCause() instanceof RuntimeException cause) {
        throw cause;
      }
      if (e.getCause() instanceof Error cause) {
        throw cause;
      }
      throw new IllegalStateException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new MachineException("interrupted", e);
    }
  }

  /**
   * Waits for what failed or does not matter any more, so that it cannot happen after its undoing.
   */
  static void settle(Future<?> task) {
    try {
      join(task);
    } catch (RuntimeException | Error e) {
      // Another failure is the one to tell, or this one is told later.
    }
  }
}
