package dev.cofferdam.broker.secret;

import dev.cofferdam.kit.metrics.Times;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import java.util.function.Supplier;

/** Times what a store does. */
public final class MeteredStore implements SecretStore {
  private final SecretStore store;
  private final MeterRegistry meters;

  public MeteredStore(SecretStore store, MeterRegistry meters) {
    this.store = store;
    this.meters = meters;
  }

  @Override
  public void put(SecretKey key, SecretValue value) {
    var _ =
        timed(
            "put",
            () -> {
              store.put(key, value);
              return true;
            });
  }

  @Override
  public SecretValue get(SecretKey key) {
    return timed("get", () -> store.get(key));
  }

  @Override
  public void delete(SecretKey key) {
    var _ =
        timed(
            "delete",
            () -> {
              store.delete(key);
              return true;
            });
  }

  private <T> T timed(String act, Supplier<T> work) {
    Timer.Sample sample = Timer.start(meters);
    String outcome = "failed";
    try {
      T result = work.get();
      outcome = "done";
      return result;
    } finally {
      sample.stop(
          Times.histogram("cofferdam.broker.store", "What the store of values took")
              .tag("act", act)
              .tag("outcome", outcome)
              .register(meters));
    }
  }
}
