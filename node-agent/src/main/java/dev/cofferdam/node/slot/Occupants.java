package dev.cofferdam.node.slot;

import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Iterator;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Who is in which slot, and who was until lately: what a slot did is told a moment later, when its
 * sandbox may sleep, or be gone and another one be in its place. Safe for use by several threads.
 */
public final class Occupants {
  /** What a slot did is told within seconds of it. */
  static final Duration KEPT = Duration.ofMinutes(1);

  private record Stay(String sandbox, Instant since, @Nullable Instant until) {
    boolean holds(Instant at) {
      return !at.isBefore(since) && (until == null || !at.isAfter(until));
    }
  }

  private final InstantSource clock;

  /** The latest first. */
  private final Map<Integer, Deque<Stay>> stays = new HashMap<>();

  public Occupants(InstantSource clock) {
    this.clock = clock;
  }

  /** What the slot does from now on is the sandbox's doing, and nothing before. */
  public void enter(int slot, String sandbox) {
    // Reports are in milliseconds: one of this millisecond must not be before it.
    enter(slot, sandbox, Instant.ofEpochMilli(clock.millis()));
  }

  /** The same, of one that has been there since before this process. */
  public void found(int slot, String sandbox) {
    enter(slot, sandbox, Instant.EPOCH);
  }

  private synchronized void enter(int slot, String sandbox, Instant since) {
    forgetOld();
    stays.computeIfAbsent(slot, _ -> new ArrayDeque<>()).addFirst(new Stay(sandbox, since, null));
  }

  /** Nothing of it is in the slot any more. */
  public synchronized void leave(int slot) {
    @Nullable Deque<Stay> all = stays.get(slot);
    if (all != null && all.getFirst().until() == null) {
      Stay last = all.removeFirst();
      all.addFirst(new Stay(last.sandbox(), last.since(), clock.instant()));
    }
  }

  /** Who did what the slot did at that time, where that is known: nobody, if it stood ready. */
  public synchronized Optional<String> at(int slot, Instant at) {
    @Nullable Deque<Stay> all = stays.get(slot);
    return all == null
        ? Optional.empty()
        : all.stream().filter(stay -> stay.holds(at)).map(Stay::sandbox).findFirst();
  }

  private void forgetOld() {
    Instant oldest = clock.instant().minus(KEPT);
    Iterator<Deque<Stay>> slots = stays.values().iterator();
    while (slots.hasNext()) {
      Deque<Stay> all = slots.next();
      all.removeIf(stay -> stay.until() != null && stay.until().isBefore(oldest));
      if (all.isEmpty()) {
        slots.remove();
      }
    }
  }
}
