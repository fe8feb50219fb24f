package dev.cofferdam.kit.client;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.v1.ErrorReason;
import io.github.resilience4j.circuitbreaker.CallNotPermittedException;
import io.github.resilience4j.circuitbreaker.CircuitBreaker;
import io.github.resilience4j.circuitbreaker.CircuitBreakerConfig;
import io.github.resilience4j.core.IntervalFunction;
import io.github.resilience4j.micrometer.tagged.TaggedCircuitBreakerMetricsPublisher;
import io.github.resilience4j.retry.Retry;
import io.github.resilience4j.retry.RetryConfig;
import io.grpc.ClientInterceptor;
import io.grpc.Status;
import io.grpc.StatusException;
import io.grpc.StatusRuntimeException;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Duration;
import java.util.function.Supplier;

/**
 * A circuit around the calls to one other party, and retries for those that may be repeated. It
 * sets no deadline: the call itself carries one.
 *
 * <p>Only what says that the party is away counts as a failure: UNAVAILABLE and DEADLINE_EXCEEDED
 * without a reason of Cofferdam's, and anything that is no status. A refusal is an answer, also one
 * that says somebody further on is away. Safe for use by several threads.
 */
public final class Guard {
  private static final int TRIES = 3;

  private final String name;
  private final ErrorReason whenOpen;
  private final CircuitBreaker circuit;
  private final Retry retry;

  /**
   * @param name of the other party, for metrics
   * @param whenOpen the reason given while the circuit is open
   */
  public Guard(String name, ErrorReason whenOpen, MeterRegistry meters) {
    this(name, whenOpen);
    new TaggedCircuitBreakerMetricsPublisher(meters).publishMetrics(circuit);
  }

  /**
   * For one of many parties that come and go, such as a sandbox's VMM: without metrics, which would
   * outlive it.
   *
   * @param name of the other party, for people
   * @param whenOpen the reason given while the circuit is open
   */
  public Guard(String name, ErrorReason whenOpen) {
    this.name = name;
    this.whenOpen = whenOpen;
    this.circuit =
        CircuitBreaker.of(
            name,
            CircuitBreakerConfig.custom()
                .slidingWindowType(CircuitBreakerConfig.SlidingWindowType.COUNT_BASED)
                .slidingWindowSize(20)
                .minimumNumberOfCalls(5)
                .failureRateThreshold(50)
                // Short, so that a party that came back is used again well within the 5 s that the
                // mesh promises.
                .waitDurationInOpenState(Duration.ofSeconds(1))
                .permittedNumberOfCallsInHalfOpenState(2)
                .recordException(Guard::away)
                .build());
    this.retry =
        Retry.of(
            name,
            RetryConfig.custom()
                .maxAttempts(TRIES)
                .intervalFunction(IntervalFunction.ofExponentialRandomBackoff(50, 3.0, 0.3))
                .retryOnException(e ->
                    e instanceof StatusRuntimeException status
                        && status.getStatus().getCode() == Status.Code.UNAVAILABLE
                        && Refusals.reason(status).isEmpty())
                .build());
  }

  /** Calls once. */
  public <T> T call(Supplier<T> call) {
    try {
      return circuit.executeSupplier(call);
    } catch (CallNotPermittedException e) {
      throw refused();
    }
  }

  /**
   * Calls up to three times while the party itself is UNAVAILABLE. Only for what may safely happen
   * twice.
   */
  public <T> T idempotent(Supplier<T> call) {
    return retry.executeSupplier(() -> call(call));
  }

  /** For a channel whose calls nobody waits for here: holds the opening of each to the circuit. */
  public ClientInterceptor openings() {
    return new Openings(circuit, this::refused);
  }

  private StatusRuntimeException refused() {
    return Refusals.toStatus(
        new Refusal(whenOpen, name + " did not answer lately; not asked again yet"));
  }

  private static boolean away(Throwable thrown) {
    return switch (thrown) {
      case StatusRuntimeException e -> away(e.getStatus()) && Refusals.reason(e).isEmpty();
      case StatusException e -> away(e.getStatus()) && Refusals.reason(e).isEmpty();
      case Refusal _ -> false;
      default -> true;
    };
  }

  private static boolean away(Status status) {
    return status.getCode() == Status.Code.UNAVAILABLE
        || status.getCode() == Status.Code.DEADLINE_EXCEEDED;
  }
}
