package dev.cofferdam.scheduler.lifecycle;

import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;

/** Work on one sandbox goes one after the other, on several at a time. */
final class Turns {
  private final Map<String, Turn> turns = new HashMap<>();

  /** There for as long as anybody has it or waits for it. */
  private static final class Turn {
    private final ReentrantLock lock = new ReentrantLock();
    private int wanted;
  }

  /** Empty when the turn did not come within {@code limit}; nothing was done. */
  <T> Optional<T> take(String sandbox, Duration limit, Supplier<T> work)
      throws InterruptedException {
    Turn turn = want(sandbox);
    try {
      if (!turn.lock.tryLock(limit.toMillis(), TimeUnit.MILLISECONDS)) {
        return Optional.empty();
      }
      try {
        return Optional.of(work.get());
      } finally {
        turn.lock.unlock();
      }
    } finally {
      leave(sandbox, turn);
    }
  }

  private synchronized Turn want(String sandbox) {
    Turn turn = turns.computeIfAbsent(sandbox, _ -> new Turn());
    turn.wanted++;
    return turn;
  }

  private synchronized void leave(String sandbox, Turn turn) {
    turn.wanted--;
    if (turn.wanted == 0) {
      turns.remove(sandbox);
    }
  }
}
