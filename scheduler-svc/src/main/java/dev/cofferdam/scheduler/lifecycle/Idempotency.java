package dev.cofferdam.scheduler.lifecycle;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.scheduler.store.Fingerprint;
import dev.cofferdam.scheduler.store.RequestStore;
import dev.cofferdam.scheduler.store.RequestStore.KnownRequest;
import dev.cofferdam.scheduler.store.RequestStore.RequestKey;
import dev.cofferdam.v1.ErrorReason;
import io.grpc.Context;
import java.time.Duration;
import java.time.InstantSource;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Creates under request ids, whatever they make. Of several at the same time one does the work and
 * all get its answer, good or bad; later ones get what it made from the record. A create that
 * failed leaves its id free.
 *
 * <p>The work does not end with the call that began it: others may wait for it. Safe for use by
 * several threads.
 */
public final class Idempotency implements AutoCloseable {
  /** Beyond the work's own deadline, for undoing it. */
  private static final Duration UNDO = Duration.ofSeconds(30);

  /** One create. */
  interface Work<T> {
    /**
     * Blocks until it is made or has been undone.
     *
     * @param wanted false once nobody would learn of it
     */
    Outcome<T> make(BooleanSupplier wanted);

    /**
     * What an earlier create with this id made.
     *
     * @throws Refusal where it is not there, or not complete
     */
    T known(KnownRequest request);

    /** Nobody will learn of it. Must not block. */
    void discard(T made);
  }

  /** What came of {@link Work#make}. */
  sealed interface Outcome<T> {
    record Made<T>(T made) implements Outcome<T> {}

    /** Its request id was taken by another create just before; nothing was made. */
    record Known<T>(KnownRequest request) implements Outcome<T> {}
  }

  private final RequestStore requests;
  private final InstantSource clock;
  private final Map<Key, Leader<?>> leaders = new ConcurrentHashMap<>();
  private final ExecutorService workers = Executors.newVirtualThreadPerTaskExecutor();

  private record Key(String tenant, String request) {}

  private record Leader<T>(Fingerprint fingerprint, CompletableFuture<T> result) {}

  Idempotency(RequestStore requests, InstantSource clock) {
    this.requests = requests;
    this.clock = clock;
  }

  /**
   * Blocks until it is made or has been undone.
   *
   * @param request empty: not idempotent. Requests of different types have different fingerprints
   * @param timeout the longest that the work may take, beside undoing it
   */
  <T> T perform(String tenant, Optional<RequestKey> request, Duration timeout, Work<T> work) {
    Duration patience = timeout.plus(UNDO);
    return request.isPresent()
        ? shared(tenant, request.get(), patience, work)
        : single(patience, work);
  }

  @Override
  public void close() {
    Shutdown.gently(workers);
  }

  /** Without an id to ask again by: where the caller gets no answer, what was made goes. */
  private <T> T single(Duration patience, Work<T> work) {
    CompletableFuture<T> result = new CompletableFuture<>();
    Context caller = Context.current();
    run(
        work,
        () ->
            switch (work.make(() -> !result.isDone() && !caller.isCancelled())) {
              case Outcome.Made<T> made -> made.made();
              case Outcome.Known<T> _ -> throw new IllegalStateException("it has no request id");
            },
        result);
    try {
      T made = await(result, patience);
      if (caller.isCancelled()) {
        work.discard(made);
      }
      return made;
    } catch (RuntimeException e) {
      // Either this is the result from now on, for the worker to see, or one came just before.
      if (!result.completeExceptionally(e) && !result.isCompletedExceptionally()) {
        work.discard(result.join());
      }
      throw e;
    }
  }

  private <T> T shared(String tenant, RequestKey request, Duration patience, Work<T> work) {
    Key key = new Key(tenant, request.id());
    Leader<T> mine = new Leader<>(request.fingerprint(), new CompletableFuture<>());
    @Nullable Leader<?> other = leaders.putIfAbsent(key, mine);
    if (other != null) {
      requireSame(request.fingerprint(), other.fingerprint());
      // The same fingerprint means the same type of request, and so of result.
      @SuppressWarnings("unchecked")
      CompletableFuture<T> result = (CompletableFuture<T>) other.result();
      return await(result, patience);
    }
    run(
        work,
        () -> {
          try {
            return knownOrMade(tenant, request, work);
          } finally {
            // Before anyone is answered: a caller that was refused may try again at once.
            leaders.remove(key);
          }
        },
        mine.result());
    return await(mine.result(), patience);
  }

  private <T> T knownOrMade(String tenant, RequestKey request, Work<T> work) {
    Optional<KnownRequest> known = requests.find(tenant, request.id(), clock.instant());
    if (known.isPresent()) {
      return known(request, known.get(), work);
    }
    return switch (work.make(() -> true)) {
      case Outcome.Made<T> made -> made.made();
      case Outcome.Known<T> taken -> known(request, taken.request(), work);
    };
  }

  private static <T> T known(RequestKey request, KnownRequest known, Work<T> work) {
    requireSame(request.fingerprint(), known.fingerprint());
    return work.known(known);
  }

  private static void requireSame(Fingerprint now, Fingerprint then) {
    if (!now.equals(then)) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_REQUEST_ID_REUSED,
          "this request id was used for another create within the last 24 hours");
    }
  }

  private <T> void run(Work<T> work, Supplier<T> make, CompletableFuture<T> result) {
    workers.execute(() -> {
      try {
        T made = make.get();
        if (!result.complete(made)) {
          work.discard(made);
        }
      } catch (RuntimeException | Error e) {
        result.completeExceptionally(e);
      }
    });
  }

  private static <T> T await(CompletableFuture<T> result, Duration patience) {
    try {
      return result.get(patience.toMillis(), TimeUnit.MILLISECONDS);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof RuntimeException cause) {
        throw cause;
      }
      throw new IllegalStateException(e);
    } catch (TimeoutException e) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_NODE_UNAVAILABLE, "the create did not end in time");
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new Refusal(ErrorReason.ERROR_REASON_NODE_UNAVAILABLE, "the scheduler is stopping");
    }
  }
}
