package dev.cofferdam.broker.sql;

import java.time.Duration;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/** Wakes those who wait for news of a commit. Safe for use by several threads. */
public final class Signal {
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition raised = lock.newCondition();
  private long count;

  /** What to pass to {@link #await}, taken before one looks: then no news is missed. */
  public long seen() {
    lock.lock();
    try {
      return count;
    } finally {
      lock.unlock();
    }
  }

  public void raise() {
    lock.lock();
    try {
      count++;
      raised.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /** Waits for news after {@code seen}, at most so long. */
  public void await(long seen, Duration atMost) throws InterruptedException {
    long nanos = atMost.toNanos();
    lock.lockInterruptibly();
    try {
      while (count == seen && nanos > 0) {
        nanos = raised.awaitNanos(nanos);
      }
    } finally {
      lock.unlock();
    }
  }
}
