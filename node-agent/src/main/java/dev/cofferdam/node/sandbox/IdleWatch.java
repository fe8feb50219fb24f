package dev.cofferdam.node.sandbox;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.node.guest.Activity;
import dev.cofferdam.node.guest.GuestException;
import dev.cofferdam.node.machine.MachineException;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Suspends sandboxes that have had nothing to do for as long as their order says: no call let
 * through, no stream, no connection, and hardly any processor time. What a guest says of itself is
 * believed: at worst it stays awake, or sleeps and is woken by the next call. For one thread.
 */
public final class IdleWatch {
  private static final Logger log = LoggerFactory.getLogger(IdleWatch.class);

  /** A guest is asked a few times in its window, but not more often than it would notice. */
  private static final int LOOKS = 4;

  private static final Duration SHORTEST = Duration.ofSeconds(1);
  private static final Duration LONGEST = Duration.ofSeconds(15);

  /** Of one processor, over the time between two looks: below it nothing of use is done. */
  private static final double BUSY = 0.05;

  private final Sandboxes sandboxes;
  private final SandboxStates states;
  private final Profiles profiles;
  private final LongSupplier nanos;
  private final Map<String, Watched> watched = new HashMap<>();

  /** One that runs, as it was when it was last looked at. */
  private static final class Watched {
    final long epoch;
    final Duration idle;
    long busyAt;
    long lookedAt;
    long calls = -1;
    Duration cpu = Duration.ZERO;

    Watched(long epoch, Duration idle, long now) {
      this.epoch = epoch;
      this.idle = idle;
      this.busyAt = now;
      this.lookedAt = now;
    }
  }

  /**
   * @param nanos a clock that never goes back
   */
  public IdleWatch(Sandboxes sandboxes, SleepParts parts, LongSupplier nanos) {
    this.sandboxes = sandboxes;
    this.states = sandboxes.states();
    this.profiles = parts.profiles;
    this.nanos = nanos;
  }

  /** To be called at least once a second; returns when all that are due have been looked at. */
  public void look() {
    Set<String> running = new HashSet<>();
    for (Sandboxes.Entry entry : sandboxes.running()) {
      running.add(entry.sandbox());
      Watched known =
          watched.compute(
              entry.sandbox(),
              (sandbox, before) ->
                  before != null && before.epoch == entry.epoch()
                      ? before
                      : new Watched(entry.epoch(), idle(sandbox), nanos.getAsLong()));
      if (!known.idle.isZero()) {
        look(entry.sandbox(), known);
      }
    }
    watched.keySet().retainAll(running);
  }

  private void look(String sandbox, Watched known) {
    long now = nanos.getAsLong();
    if (now - known.lookedAt < between(known.idle).toNanos()) {
      return;
    }
    try {
      long calls = states.calls(sandbox);
      Optional<Activity> activity = states.activity(sandbox);
      if (activity.isEmpty() || busy(known, calls, activity.get(), now - known.lookedAt)) {
        known.busyAt = now;
      }
      known.lookedAt = now;
      known.calls = calls;
      activity.ifPresent(found -> known.cpu = found.cpu());
      if (now - known.busyAt >= known.idle.toNanos()) {
        var _ =
            states.suspendIdle(
                sandbox, known.epoch, calls, "idle for " + known.idle.toSeconds() + " s");
        known.busyAt = now;
      }
    } catch (GuestException | Refusal e) {
      // One that cannot be asked is not idle, and one that did not fall asleep is tried again.
      known.busyAt = now;
      known.lookedAt = now;
      log.atInfo()
          .setMessage("idle_not_known")
          .addKeyValue("sandbox", sandbox)
          .addKeyValue("cause", e.getMessage())
          .log();
    }
  }

  private static boolean busy(Watched known, long calls, Activity activity, long nanosBetween) {
    Duration used = activity.cpu().minus(known.cpu);
    return calls != known.calls
        || activity.streams() > 0
        || activity.connections() > 0
        || used.isNegative()
        || used.toNanos() > BUSY * nanosBetween;
  }

  private static Duration between(Duration idle) {
    Duration part = idle.dividedBy(LOOKS);
    return part.compareTo(SHORTEST) < 0 ? SHORTEST : part.compareTo(LONGEST) > 0 ? LONGEST : part;
  }

  private Duration idle(String sandbox) {
    try {
      return profiles.read(sandbox).idle();
    } catch (MachineException e) {
      return Duration.ZERO;
    }
  }
}
