package dev.cofferdam.cli;

import com.google.protobuf.ByteString;
import dev.cofferdam.v1.TerminalSize;
import io.grpc.StatusException;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * The way to a process while its streams come and go: a message that finds none open waits for the
 * next one. Safe for use by several threads.
 */
final class Input {
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private @Nullable Sink sink;
  private boolean ended;

  /** Tells one sink from the next. */
  private long generation;

  void open(Sink next) {
    set(next, false);
  }

  void shut() {
    set(null, false);
  }

  /** For good: nothing waits any longer. */
  void end() {
    set(null, true);
  }

  private void set(@Nullable Sink next, boolean last) {
    lock.lock();
    try {
      sink = next;
      generation++;
      ended |= last;
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /** False when the session is over. */
  boolean send(Message message) throws InterruptedException {
    long tried = -1;
    while (true) {
      Sink current;
      lock.lock();
      try {
        while ((sink == null || generation == tried) && !ended) {
          changed.await();
        }
        current = sink;
        tried = generation;
      } finally {
        lock.unlock();
      }
      if (current == null) {
        return false;
      }
      try {
        // Outside the lock: a full stream must not keep the reader from shutting it.
        if (current.accept(message)) {
          return true;
        }
      } catch (StatusException e) {
        // That stream broke; the reader finds out too, and opens the next.
      }
    }
  }

  /** Takes one message, waiting while the stream is full; false when the stream takes no more. */
  interface Sink {
    boolean accept(Message message) throws StatusException, InterruptedException;
  }

  /** What goes to a process after its start. */
  sealed interface Message {}

  record Data(ByteString bytes) implements Message {}

  record Close() implements Message {}

  record Resize(TerminalSize size) implements Message {}
}
