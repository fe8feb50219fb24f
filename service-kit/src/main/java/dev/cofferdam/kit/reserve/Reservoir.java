package dev.cofferdam.kit.reserve;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * Things made ahead, because making one takes longer than who needs it should wait. The next are
 * made once nobody has taken one for a while, so that they do not compete for a processor with the
 * very call that took the last; from half empty on they are made at once. Safe for use by several
 * threads.
 */
public final class Reservoir<T> implements AutoCloseable {
  /** What takes one has mostly been answered by then. */
  private static final Duration QUIET = Duration.ofMillis(300);

  private final int size;
  private final long quietNanos;
  private final Supplier<T> maker;
  private final Consumer<T> discard;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private final Queue<T> ready = new ArrayDeque<>();
  private final Thread thread;
  private long quietFrom;
  private boolean closed;

  /**
   * @param name of the thread that makes them
   * @param size how many are kept, at least 1
   * @param maker called by that thread, and by whoever finds none
   * @param discard for what nobody took
   */
  public Reservoir(String name, int size, Supplier<T> maker, Consumer<T> discard) {
    this(name, size, QUIET, maker, discard);
  }

  Reservoir(String name, int size, Duration quiet, Supplier<T> maker, Consumer<T> discard) {
    this.size = size;
    this.quietNanos = quiet.toNanos();
    this.maker = maker;
    this.discard = discard;
    this.quietFrom = System.nanoTime();
    this.thread = Thread.ofPlatform().daemon().name(name).start(this::fill);
  }

  /** Makes one itself when none is ready. */
  public T take() {
    T taken;
    lock.lock();
    try {
      taken = ready.poll();
      quietFrom = System.nanoTime() + quietNanos;
      changed.signalAll();
    } finally {
      lock.unlock();
    }
    return taken == null ? maker.get() : taken;
  }

  /** How many can be had at once. */
  public int available() {
    lock.lock();
    try {
      return ready.size();
    } finally {
      lock.unlock();
    }
  }

  /** Afterwards nothing is left of it, and no thread. */
  @Override
  public void close() {
    List<T> left;
    lock.lock();
    try {
      closed = true;
      left = new ArrayList<>(ready);
      ready.clear();
      changed.signalAll();
    } finally {
      lock.unlock();
    }
    left.forEach(discard);
    try {
      thread.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void fill() {
    try {
      while (wanted()) {
        T made = maker.get();
        if (!put(made)) {
          discard.accept(made);
          return;
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Waits until one is to be made; false at the end. */
  private boolean wanted() throws InterruptedException {
    lock.lock();
    try {
      while (!closed) {
        long quietIn = quietFrom - System.nanoTime();
        if (ready.size() >= size) {
          changed.await();
        } else if (ready.size() > size / 2 && quietIn > 0) {
          var _ = changed.awaitNanos(quietIn);
        } else {
          return true;
        }
      }
      return false;
    } finally {
      lock.unlock();
    }
  }

  private boolean put(T made) {
    lock.lock();
    try {
      return !closed && ready.add(made);
    } finally {
      lock.unlock();
    }
  }
}
