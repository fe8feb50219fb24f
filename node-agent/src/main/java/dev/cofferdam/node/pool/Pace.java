package dev.cofferdam.node.pool;

import java.time.Duration;

/**
 * When something may be made ahead: never while a start is under way, and after one only once its
 * sandbox has had a moment for its first commands; on a busy host rarely, but not never. Not safe
 * for use by several threads.
 */
final class Pace {
  /** After a start. */
  static final Duration QUIET = Duration.ofMillis(250);

  /** Starts that come one after another leave no quiet: then so long after the first is enough. */
  static final Duration LONGEST = Duration.ofSeconds(2);

  /** What part of the processors has to be free. */
  static final double FREE = 0.25;

  /** On a host that is busy all the time. */
  static final Duration RARELY = Duration.ofSeconds(5);

  /** Before it is looked at again whether the host is still busy. */
  static final Duration LOOK_AGAIN = Duration.ofMillis(250);

  private final HostLoad load;
  private int starts;
  private long lastStart;
  private long wantedSince;
  private long lastMade;

  /**
   * @param now nanoseconds of a clock that never goes back, as everywhere here
   */
  Pace(HostLoad load, long now) {
    this.load = load;
    this.lastStart = now - QUIET.toNanos();
    this.wantedSince = now;
    this.lastMade = now - RARELY.toNanos();
  }

  void startBegins() {
    starts++;
  }

  void startEnds(long now) {
    starts--;
    if (now - lastStart > QUIET.toNanos()) {
      wantedSince = now;
    }
    lastStart = now;
  }

  void made(long now) {
    lastMade = now;
    wantedSince = now;
  }

  /** How long to wait before the next thing is made; negative where a start's end will tell. */
  Duration pause(long now) {
    if (starts > 0) {
      return Duration.ofMillis(-1);
    }
    long quiet = QUIET.toNanos() - (now - lastStart);
    long longest = LONGEST.toNanos() - (now - wantedSince);
    if (quiet > 0 && longest > 0) {
      return Duration.ofNanos(Math.min(quiet, longest));
    }
    if (load.idle() < FREE && now - lastMade < RARELY.toNanos()) {
      return LOOK_AGAIN;
    }
    return Duration.ZERO;
  }
}
