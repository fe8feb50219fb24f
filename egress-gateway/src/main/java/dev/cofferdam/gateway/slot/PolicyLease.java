package dev.cofferdam.gateway.slot;

import java.time.Duration;
import java.util.function.LongSupplier;

/**
 * How long the gateway may act on what it knows without hearing from the broker. Safe for use by
 * several threads.
 */
public final class PolicyLease {
  private static final Duration BEFORE_FIRST_WORD = Duration.ofMinutes(10);

  private final LongSupplier nanoTime;
  private volatile Duration length = BEFORE_FIRST_WORD;
  private volatile long renewed;

  public PolicyLease(LongSupplier nanoTime) {
    this.nanoTime = nanoTime;
    this.renewed = nanoTime.getAsLong();
  }

  /** The broker spoke. */
  public void renew() {
    renewed = nanoTime.getAsLong();
  }

  /** The broker spoke and said how long its word holds. */
  public void renew(Duration policyLease) {
    length = policyLease;
    renew();
  }

  public boolean expired() {
    return nanoTime.getAsLong() - renewed > length.toNanos();
  }
}
