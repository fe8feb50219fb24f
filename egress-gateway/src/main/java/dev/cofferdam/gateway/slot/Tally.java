package dev.cofferdam.gateway.slot;

import java.util.concurrent.atomic.AtomicInteger;

/** How much of something a sandbox has at a time. Safe for use by several threads. */
public final class Tally {
  private final AtomicInteger count = new AtomicInteger();

  /** Counts one more, unless there are that many already. */
  public boolean tryAdd(int most) {
    return tryAdd(1, most);
  }

  /** Counts so many more, unless that were more than may be. */
  public boolean tryAdd(int more, int most) {
    if (count.addAndGet(more) > most) {
      count.addAndGet(-more);
      return false;
    }
    return true;
  }

  /** Counts one more in any case. */
  public void add() {
    count.incrementAndGet();
  }

  public void remove() {
    remove(1);
  }

  public void remove(int fewer) {
    count.addAndGet(-fewer);
  }
}
