package dev.cofferdam.node.sandbox;

import dev.cofferdam.node.sandbox.SandboxState.Ended;
import java.util.LinkedHashSet;
import java.util.SequencedSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Each sandbox's state beside its lock. Those that have ended are remembered up to a bound, as
 * fences.
 */
final class Cells {
  static final int FENCES = 10_000;

  /** One sandbox. Its state changes under its lock alone, and may be read without. */
  static final class Cell {
    private final ReentrantLock lock = new ReentrantLock();
    volatile @Nullable SandboxState state;
    private boolean retired;
  }

  private final ConcurrentMap<String, Cell> cells = new ConcurrentHashMap<>();

  /** The fences, each once, the one touched longest ago first. */
  private final SequencedSet<String> ended = new LinkedHashSet<>();

  <T> T locked(String sandbox, Function<Cell, T> work) {
    while (true) {
      Cell cell = cells.computeIfAbsent(sandbox, _ -> new Cell());
      cell.lock.lock();
      try {
        if (!cell.retired) {
          return work.apply(cell);
        }
      } finally {
        settle(sandbox, cell);
        cell.lock.unlock();
      }
    }
  }

  void run(String sandbox, Consumer<Cell> work) {
    var _ =
        locked(
            sandbox,
            cell -> {
              work.accept(cell);
              return true;
            });
  }

  @Nullable SandboxState peek(String sandbox) {
    Cell cell = cells.get(sandbox);
    return cell == null ? null : cell.state;
  }

  void forEach(BiConsumer<String, SandboxState> visitor) {
    cells.forEach((sandbox, cell) -> {
      SandboxState state = cell.state;
      if (state != null) {
        visitor.accept(sandbox, state);
      }
    });
  }

  private void settle(String sandbox, Cell cell) {
    if (cell.retired) {
      return;
    }
    if (cell.state == null) {
      retire(sandbox, cell);
      return;
    }
    @Nullable String oldest = null;
    synchronized (ended) {
      if (cell.state instanceof Ended) {
        ended.addLast(sandbox);
      } else {
        ended.remove(sandbox);
      }
      if (ended.size() > FENCES) {
        oldest = ended.removeFirst();
      }
    }
    if (oldest != null) {
      forget(oldest);
    }
  }

  private void forget(String sandbox) {
    Cell cell = cells.get(sandbox);
    // One that is busy is no longer a fence.
    if (cell != null && cell.lock.tryLock()) {
      try {
        if (cell.state instanceof Ended) {
          retire(sandbox, cell);
        }
      } finally {
        cell.lock.unlock();
      }
    }
  }

  private void retire(String sandbox, Cell cell) {
    cell.retired = true;
    cells.remove(sandbox, cell);
  }
}
