package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.data.Effect;
import dev.cofferdam.gateway.event.Reasons;
import dev.cofferdam.kit.metrics.Times;
import dev.cofferdam.v1.Verdict;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;

/** The meters of exchanges, registered once: to look one up costs more than to count in it. */
public final class ExchangeMeters {
  private final Map<Verdict, Timer> times = new EnumMap<>(Verdict.class);
  private final Map<Effect, Counter> data = new HashMap<>();
  private final Counter out;
  private final Counter in;
  private final Counter scrubs;
  private final Timer plain;
  private final Timer withSecret;

  public ExchangeMeters(MeterRegistry meters) {
    for (Verdict verdict : new Verdict[] {Verdict.VERDICT_ALLOWED, Verdict.VERDICT_DENIED}) {
      times.put(
          verdict,
          Times.histogram("cofferdam.gateway.requests", "From a request's head to its answer's end")
              .tag("verdict", Reasons.text(verdict))
              .register(meters));
    }
    for (Effect effect : Effect.all()) {
      data.put(
          effect,
          Counter.builder("cofferdam.gateway.data")
              .description("Requests in which the policy's data rules found something")
              .tag("detector", effect.detector())
              .tag("outcome", effect.outcome().name().toLowerCase(Locale.ROOT))
              .register(meters));
    }
    this.out = bytes("out", meters);
    this.in = bytes("in", meters);
    this.plain = added("plain", meters);
    this.withSecret = added("secret", meters);
    this.scrubs =
        Counter.builder("cofferdam.gateway.scrubs")
            .description("Values that were taken out of answers")
            .register(meters);
  }

  private static Timer added(String kind, MeterRegistry meters) {
    return Times.fineHistogram(
            "cofferdam.gateway.added",
            "What the gateway adds before a request leaves: its judgement, and the broker's answer")
        .tag("kind", kind)
        .register(meters);
  }

  private static Counter bytes(String direction, MeterRegistry meters) {
    return Counter.builder("cofferdam.gateway.body")
        .description("Bytes of requests (out) and answers (in)")
        .baseUnit("bytes")
        .tag("direction", direction)
        .register(meters);
  }

  /**
   * @param bytesOut of the request's body
   * @param bytesIn of the answer's
   */
  void ended(Verdict verdict, long nanos, long bytesOut, long bytesIn) {
    Timer timer = times.get(verdict);
    if (timer != null) {
      timer.record(nanos, TimeUnit.NANOSECONDS);
    }
    out.increment((double) bytesOut);
    in.increment((double) bytesIn);
  }

  /**
   * @param nanos that a request waited for the gateway and the broker: neither for the rest of it
   *     to come, nor for a person, nor for the upstream
   */
  void leaves(boolean secret, long nanos) {
    (secret ? withSecret : plain).record(nanos, TimeUnit.NANOSECONDS);
  }

  void scrubbed(int values) {
    scrubs.increment(values);
  }

  /** By data rules, in one request. */
  void found(Set<Effect> effects) {
    for (Effect effect : effects) {
      Counter counter = data.get(effect);
      if (counter != null) {
        counter.increment();
      }
    }
  }
}
