package dev.cofferdam.broker.oauth;

import dev.cofferdam.broker.policy.OAuth;
import dev.cofferdam.broker.secret.SecretKey;
import dev.cofferdam.broker.secret.SecretValue;
import dev.cofferdam.broker.secret.ValueCache;
import dev.cofferdam.kit.metrics.Times;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.Collectors;

/**
 * Access tokens that stand for secrets, kept until shortly before their end. However many uses want
 * one at the same time, it is fetched once; after a failure it is not asked for again for a moment,
 * for a guest can cause a use whenever it likes. Safe for use by several threads.
 *
 * <p>Whether a use is allowed is decided in the database before this is asked, as of {@link
 * ValueCache}.
 */
public final class AccessTokens implements AutoCloseable {
  /** Of a fetch. One that takes longer than a use waits serves the next one. */
  private static final Duration FETCH = Duration.ofSeconds(10);

  /** For how long a failure is the answer. */
  static final Duration AFTER_FAILURE = Duration.ofSeconds(5);

  /**
   * A token as young as that is not fetched anew for an upstream's 401: a guest that may not do
   * what it asks for gets one whenever it likes.
   */
  static final Duration YOUNG = Duration.ofSeconds(10);

  /** A token is not used in this time before its end, or in the last tenth of a shorter life. */
  static final Duration MARGIN = Duration.ofSeconds(30);

  /** Fetches of one tenant at a time: an endpoint that does not answer holds up nobody else. */
  static final int FETCHES_PER_TENANT = 8;

  private final TokenEndpoint endpoint;
  private final ValueCache values;
  private final InstantSource clock;
  private final Duration timeToLive;
  private final Duration patience;
  private final int capacity;
  private final Map<Outcome, Timer> times;
  private final ExecutorService fetches = Executors.newVirtualThreadPerTaskExecutor();
  private final ReentrantLock lock = new ReentrantLock();
  private final LinkedHashMap<SecretKey, Kept> kept = new LinkedHashMap<>(16, 0.75f, true);
  private final LinkedHashMap<SecretKey, Failure> failures = new LinkedHashMap<>();
  private final Map<SecretKey, Flight> flights = new HashMap<>();
  private boolean closed;

  /** What became of a fetch. */
  private enum Outcome {
    FETCHED,
    REFUSED,
    UNAVAILABLE,
    FAILED
  }

  private record Kept(SecretValue value, Instant since, Instant end) {}

  private record Failure(TokenException why, Instant end) {}

  /**
   * @param endpoint stays its owner's to close
   * @param values where clients' secrets come from
   * @param timeToLive of a token here at most
   * @param patience of a use, for a token that has to be fetched
   * @param capacity how many at most, at least 1
   */
  public AccessTokens(
      TokenEndpoint endpoint,
      ValueCache values,
      InstantSource clock,
      Duration timeToLive,
      Duration patience,
      int capacity,
      MeterRegistry meters) {
    this.endpoint = endpoint;
    this.values = values;
    this.clock = clock;
    this.timeToLive = timeToLive;
    this.patience = patience;
    this.capacity = capacity;
    // All at once: a counter that begins with its first event does not show that event as an
    // increase.
    this.times =
        Arrays.stream(Outcome.values())
            .collect(
                Collectors.toUnmodifiableMap(
                    outcome -> outcome, outcome -> timer(outcome, meters)));
  }

  private static Timer timer(Outcome outcome, MeterRegistry meters) {
    return Times.histogram("cofferdam.broker.token.fetch", "What the fetch of an access token took")
        .tag("outcome", outcome.name().toLowerCase(Locale.ROOT))
        .register(meters);
  }

  /** How long a use waits for all of its tokens. */
  public Duration patience() {
    return patience;
  }

  /**
   * Whether there is one that can be used.
   *
   * @param unauthorised the last answer to a use of it was 401: unless it is young, it is forgotten
   */
  public boolean has(SecretKey key, boolean unauthorised) {
    Instant now = clock.instant();
    lock.lock();
    try {
      Kept present = kept.get(key);
      if (present == null || !now.isBefore(present.end())) {
        return false;
      }
      if (unauthorised && !now.isBefore(present.since().plus(YOUNG))) {
        drop(key);
        return false;
      }
      return true;
    } finally {
      lock.unlock();
    }
  }

  /**
   * For one use: the caller closes it, and changes nothing in it.
   *
   * @param end until when the caller waits, as of {@link System#nanoTime}
   * @param record puts on record that the client's secret is about to be sent, if it is
   * @throws TokenException where there is none
   * @throws RuntimeException as the store of values or the record fails
   */
  public SecretValue get(SecretKey key, OAuth client, long end, Runnable record)
      throws InterruptedException {
    Flight flight;
    lock.lock();
    try {
      Instant now = clock.instant();
      Kept present = kept.get(key);
      if (present != null && now.isBefore(present.end())) {
        return present.value().another();
      }
      Failure failure = failures.get(key);
      if (failure != null && now.isBefore(failure.end())) {
        throw failure.why();
      }
      flight = flights.get(key);
      if (flight == null) {
        flight = begin(key, client, record);
      }
      flight.waiting++;
    } finally {
      lock.unlock();
    }
    return flight.await(end);
  }

  private Flight begin(SecretKey key, OAuth client, Runnable record) {
    long ofTenant =
        flights.keySet().stream().filter(other -> other.tenant().equals(key.tenant())).count();
    if (closed || ofTenant >= FETCHES_PER_TENANT) {
      throw TokenException.unavailable(
          closed ? "the broker stops" : "too many access tokens are being fetched");
    }
    Flight flight = new Flight(key, client, record);
    flights.put(key, flight);
    fetches.execute(flight::run);
    return flight;
  }

  /** Zeroes it at once, and keeps none that is being fetched. */
  public void forget(SecretKey key) {
    lock.lock();
    try {
      drop(key);
      failures.remove(key);
      Flight flight = flights.get(key);
      if (flight != null) {
        flight.forgotten = true;
      }
    } finally {
      lock.unlock();
    }
  }

  /** Those that there are tokens of. */
  public Set<SecretKey> keys() {
    lock.lock();
    try {
      return Set.copyOf(kept.keySet());
    } finally {
      lock.unlock();
    }
  }

  /** Zeroes what is past its time. */
  public void evictExpired() {
    Instant now = clock.instant();
    lock.lock();
    try {
      kept.entrySet().stream()
          .filter(entry -> !now.isBefore(entry.getValue().end()))
          .map(Map.Entry::getKey)
          .toList()
          .forEach(this::drop);
      failures.values().removeIf(failure -> !now.isBefore(failure.end()));
    } finally {
      lock.unlock();
    }
  }

  public int size() {
    lock.lock();
    try {
      return kept.size();
    } finally {
      lock.unlock();
    }
  }

  /** Zeroes everything; a token that is fetched after this is not kept. */
  @Override
  public void close() {
    fetches.shutdownNow();
    lock.lock();
    try {
      closed = true;
      Set.copyOf(kept.keySet()).forEach(this::drop);
    } finally {
      lock.unlock();
    }
  }

  private void drop(SecretKey key) {
    Kept removed = kept.remove(key);
    if (removed != null) {
      removed.value().close();
    }
  }

  private void keep(SecretKey key, AccessToken token, Instant since) {
    Duration tenth = token.lifetime().dividedBy(10);
    Duration usable = token.lifetime().minus(tenth.compareTo(MARGIN) < 0 ? tenth : MARGIN);
    Duration time = usable.compareTo(timeToLive) < 0 ? usable : timeToLive;
    if (closed || time.isZero()) {
      return;
    }
    drop(key);
    kept.put(key, new Kept(token.value().another(), since, since.plus(time)));
    if (kept.size() > capacity) {
      drop(kept.firstEntry().getKey());
    }
  }

  private void remember(SecretKey key, TokenException why) {
    failures.remove(key);
    failures.put(key, new Failure(why, clock.instant().plus(AFTER_FAILURE)));
    if (failures.size() > capacity) {
      failures.pollFirstEntry();
    }
  }

  /** One fetch, and those who wait for it. Its fields are under the lock. */
  private final class Flight {
    private final SecretKey key;
    private final OAuth client;
    private final Runnable record;
    private final CompletableFuture<SecretValue> landed = new CompletableFuture<>();
    private int waiting;
    private boolean forgotten;

    Flight(SecretKey key, OAuth client, Runnable record) {
      this.key = key;
      this.client = client;
      this.record = record;
    }

    SecretValue await(long end) throws InterruptedException {
      try {
        SecretValue token = landed.get(Math.max(0, end - System.nanoTime()), TimeUnit.NANOSECONDS);
        // Alive, for this waiter has not left.
        return token.another();
      } catch (TimeoutException e) {
        throw TokenException.unavailable("the token endpoint has not answered yet");
      } catch (ExecutionException e) {
        throw e.getCause() instanceof RuntimeException why
            ? why
            : new IllegalStateException("a token could not be fetched", e.getCause());
      } finally {
        lock.lock();
        try {
          waiting--;
          closeWhenLeft();
        } finally {
          lock.unlock();
        }
      }
    }

    private void closeWhenLeft() {
      if (waiting == 0 && landed.isDone() && !landed.isCompletedExceptionally()) {
        landed.join().close();
      }
    }

    void run() {
      Instant since = clock.instant();
      long began = System.nanoTime();
      Outcome outcome = Outcome.FAILED;
      try {
        // The token's memory goes to those who wait, and is zeroed when the last has gone.
        AccessToken token = fetch();
        outcome = Outcome.FETCHED;
        land(token, since);
      } catch (TokenException e) {
        outcome = e.refused() ? Outcome.REFUSED : Outcome.UNAVAILABLE;
        crash(e);
      } catch (RuntimeException | Error e) {
        crash(e);
      } finally {
        Timer time = times.get(outcome);
        if (time != null) {
          time.record(System.nanoTime() - began, TimeUnit.NANOSECONDS);
        }
      }
    }

    private AccessToken fetch() {
      try (TokenEndpoint.Connection connection = endpoint.connect(client, within())) {
        record.run();
        try (SecretValue secret = values.get(key)) {
          return connection.ask(secret);
        }
      }
    }

    private Duration within() {
      return patience.compareTo(FETCH) > 0 ? patience : FETCH;
    }

    private void land(AccessToken token, Instant since) {
      lock.lock();
      try {
        flights.remove(key);
        failures.remove(key);
        if (!forgotten) {
          keep(key, token, since);
        }
        landed.complete(token.value());
        closeWhenLeft();
      } finally {
        lock.unlock();
      }
    }

    private void crash(Throwable why) {
      lock.lock();
      try {
        flights.remove(key);
        if (why instanceof TokenException told && !forgotten) {
          remember(key, told);
        }
        landed.completeExceptionally(why);
      } finally {
        lock.unlock();
      }
    }
  }
}
