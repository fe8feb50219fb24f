package dev.cofferdam.node.sandbox;

import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import java.util.EnumMap;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.TimeUnit;

/** What a node counts of its sandboxes. */
public final class SandboxMetrics {
  private final MeterRegistry meters;
  private final Counter started;
  private final Counter failed;
  private final Counter ended;
  private final Counter lost;
  private final Map<Act, Timer> acts = new EnumMap<>(Act.class);

  /** What is done to a sandbox that is there. */
  enum Act {
    PAUSE,
    RESUME,
    SUSPEND,
    WAKE
  }

  public SandboxMetrics(MeterRegistry meters) {
    this.meters = meters;
    this.started = counter("started", "Sandboxes that came to answer");
    this.failed = counter("start_failed", "Starts that failed and were undone");
    this.ended = counter("ended", "Sandboxes of which nothing is left");
    this.lost = counter("lost", "Sandboxes whose VM ended by itself");
    for (Act act : Act.values()) {
      acts.put(act, timer(act));
    }
    for (StartWay way : StartWay.values()) {
      var _ = timer(way);
    }
  }

  /**
   * @param steps milliseconds by step, {@code total} among them
   */
  void started(StartWay way, Map<String, Double> steps) {
    started.increment();
    timer(way).record((long) (steps.getOrDefault("total", 0.0) * 1e6), TimeUnit.NANOSECONDS);
    steps.forEach((step, millis) ->
        Timer.builder("cofferdam.node.start")
            .description("Time of a start by step; steps overlap")
            .tag("step", step)
            .publishPercentileHistogram()
            .register(meters)
            .record((long) (millis * 1e6), TimeUnit.NANOSECONDS));
  }

  void failed() {
    failed.increment();
  }

  void ended() {
    ended.increment();
  }

  void lost() {
    lost.increment();
  }

  /**
   * @param steps as of {@link #started}
   */
  void done(Act act, Map<String, Double> steps) {
    Objects.requireNonNull(acts.get(act))
        .record((long) (steps.getOrDefault("total", 0.0) * 1e6), TimeUnit.NANOSECONDS);
  }

  private Timer timer(StartWay way) {
    return Timer.builder("cofferdam.node.start.way")
        .description("Time from the order to a guest that accepts processes, by the way it took")
        .tag("way", way.name().toLowerCase(Locale.ROOT))
        .publishPercentileHistogram()
        .register(meters);
  }

  private Timer timer(Act act) {
    return Timer.builder("cofferdam.node.state.change")
        .description("Time of a pause, a resumption, a suspension and a wake that came about")
        .tag("act", act.name().toLowerCase(Locale.ROOT))
        .publishPercentileHistogram()
        .register(meters);
  }

  private Counter counter(String what, String description) {
    return Counter.builder("cofferdam.node.sandboxes." + what)
        .description(description)
        .register(meters);
  }
}
