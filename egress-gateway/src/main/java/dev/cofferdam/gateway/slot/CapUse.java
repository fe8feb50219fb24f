package dev.cofferdam.gateway.slot;

import dev.cofferdam.kit.egress.Caps;

/**
 * What was used of caps: those of a sandbox or of one of its rules. The caps may change while it
 * counts on. Safe for use by several threads.
 */
public final class CapUse {
  /** What is used up. */
  public enum Spent {
    NOTHING,
    REQUESTS,
    RATE,
    BYTES,
    CONCURRENT
  }

  private long requests;
  private long bytes;
  private int underWay;

  /** Negative: the bucket is full, however large. */
  private double tokens = -1;

  private long nanos;

  /**
   * Counts a request that begins, if there is room for it.
   *
   * @param now of a clock that is not set, nanoseconds
   */
  public synchronized Spent begin(Caps caps, long now) {
    double filled = filled(caps, now);
    if (caps.requests() > 0 && requests >= caps.requests()) {
      return Spent.REQUESTS;
    }
    if (caps.bytes() > 0 && bytes >= caps.bytes()) {
      return Spent.BYTES;
    }
    if (caps.concurrent() > 0 && underWay >= caps.concurrent()) {
      return Spent.CONCURRENT;
    }
    if (caps.rate() > 0) {
      if (filled < 1) {
        return Spent.RATE;
      }
      tokens = filled - 1;
      nanos = now;
    }
    requests++;
    underWay++;
    return Spent.NOTHING;
  }

  /** A request that was counted did not begin after all. */
  synchronized void undo(Caps caps) {
    requests--;
    underWay--;
    if (caps.rate() > 0) {
      tokens = Math.min(caps.rate(), tokens + 1);
    }
  }

  /** A request that was counted is over. */
  public synchronized void end() {
    underWay--;
  }

  /** Counts bytes; false where they are more than is left, and none of them may go. */
  public synchronized boolean add(Caps caps, long more) {
    if (caps.bytes() > 0 && more > caps.bytes() - bytes) {
      bytes = caps.bytes();
      return false;
    }
    bytes += more;
    return true;
  }

  private double filled(Caps caps, long now) {
    if (tokens < 0 || caps.rate() == 0) {
      return caps.rate();
    }
    double filled = tokens + (double) (now - nanos) * caps.rate() / caps.per().toNanos();
    return Math.min(caps.rate(), filled);
  }
}
