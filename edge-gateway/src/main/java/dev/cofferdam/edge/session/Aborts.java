package dev.cofferdam.edge.session;

import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What goes on in a session and may be given up by its client, by the number that the client gave
 * it. Safe for use by several threads.
 */
public final class Aborts {
  private final Map<Long, Set<Registration>> known = new HashMap<>();

  /** From here until it is closed, {@code give} runs when the client gives up what has this id. */
  public synchronized Registration on(long id, Runnable give) {
    Registration registration = new Registration(id, give);
    known.computeIfAbsent(id, _ -> new HashSet<>()).add(registration);
    return registration;
  }

  /** Nothing where nothing has this id any more. */
  void abort(long id) {
    List<Registration> now;
    synchronized (this) {
      now = List.copyOf(known.getOrDefault(id, Set.of()));
    }
    now.forEach(registration -> registration.give.run());
  }

  private synchronized void remove(Registration registration) {
    Set<Registration> others = known.get(registration.id);
    if (others != null && others.remove(registration) && others.isEmpty()) {
      known.remove(registration.id);
    }
  }

  /** One thing that may be given up. */
  public final class Registration implements AutoCloseable {
    private final long id;
    private final Runnable give;

    private Registration(long id, Runnable give) {
      this.id = id;
      this.give = give;
    }

    @Override
    public void close() {
      remove(this);
    }
  }

  /** A call: the thread that makes it is interrupted, and no other thing that it does later. */
  static final class Interrupted {
    private @Nullable Thread thread;
    private boolean aborted;

    synchronized void begin() {
      thread = Thread.currentThread();
      if (aborted) {
        thread.interrupt();
      }
    }

    synchronized void abort() {
      aborted = true;
      if (thread != null) {
        thread.interrupt();
      }
    }

    synchronized boolean aborted() {
      return aborted;
    }

    /** By the thread that began: it is not interrupted any more. */
    synchronized boolean end() {
      thread = null;
      if (aborted) {
        var _ = Thread.interrupted();
      }
      return aborted;
    }
  }
}
