package dev.cofferdam.testkit;

import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.concurrent.atomic.AtomicReference;

/** A clock that moves only when a test says so. Safe for use by several threads. */
public final class SettableClock implements InstantSource {
  private final AtomicReference<Instant> now;

  public SettableClock(Instant start) {
    now = new AtomicReference<>(start);
  }

  /** At an arbitrary but fixed time, so that a test that depends on the date fails every day. */
  public static SettableClock fixed() {
    return new SettableClock(Instant.parse("2026-03-04T05:06:07.089Z"));
  }

  @Override
  public Instant instant() {
    return now.get();
  }

  /** Backwards too: clocks of real machines do that. */
  public void set(Instant time) {
    now.set(time);
  }

  public void advance(Duration step) {
    if (step.isNegative()) {
      throw new IllegalArgumentException("step is " + step + ", expected >= 0; use set to go back");
    }
    now.updateAndGet(time -> time.plus(step));
  }
}
