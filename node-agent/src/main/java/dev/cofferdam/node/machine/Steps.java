package dev.cofferdam.node.machine;

import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/** Where the time of one start went. Steps may overlap, so that their sum may exceed the whole. */
public final class Steps {
  private final LongSupplier nanos;
  private final long begin;
  private final Map<String, Double> millis = new ConcurrentHashMap<>();

  /**
   * @param nanos a clock that never goes back, as {@link System#nanoTime()}
   */
  public Steps(LongSupplier nanos) {
    this.nanos = nanos;
    this.begin = nanos.getAsLong();
  }

  /** Runs the step and notes how long it took, whether it failed or not. */
  public <T> T time(String step, Supplier<T> work) {
    long from = nanos.getAsLong();
    try {
      return work.get();
    } finally {
      millis.merge(step, since(from), Double::sum);
    }
  }

  public void time(String step, Runnable work) {
    var _ =
        time(
            step,
            () -> {
              work.run();
              return step;
            });
  }

  /** Notes, under this name, the time from the beginning until now. */
  public void reached(String milestone) {
    millis.put(milestone, since(begin));
  }

  public Map<String, Double> millis() {
    return new TreeMap<>(millis);
  }

  private double since(long from) {
    return (nanos.getAsLong() - from) / 1e6;
  }
}
