package dev.cofferdam.gateway.slot;

import java.util.concurrent.atomic.AtomicInteger;

/** How much of something a sandbox has at a time. Safe for use by several threads. */
public final class Tally {
  private final AtomicInteger count = new AtomicInteger();

  /** Counts one more, unless there are that many already. */
  public boolean tryAdd(int most) {
    if (count.incrementAndGet() > most) {
      count.decrementAndGet();
      return false;
    }
    return true;
  }

  /** Counts one more in any case. */
  public void add() {
    count.incrementAndGet();
  }

  public void remove() {
    count.decrementAndGet();
  }
}
