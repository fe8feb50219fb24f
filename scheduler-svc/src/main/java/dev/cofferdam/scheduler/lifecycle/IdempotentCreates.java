package dev.cofferdam.scheduler.lifecycle;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.scheduler.sandbox.EndCause;
import dev.cofferdam.scheduler.sandbox.Sandbox;
import dev.cofferdam.scheduler.sandbox.SandboxState.Starting;
import dev.cofferdam.scheduler.store.Fingerprint;
import dev.cofferdam.scheduler.store.SandboxStore;
import dev.cofferdam.scheduler.store.SandboxStore.KnownRequest;
import dev.cofferdam.scheduler.store.SandboxStore.RequestKey;
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
 * Creates under request ids. Of several at the same time one does the work and all get its answer,
 * good or bad; later ones get the sandbox from the record. A create that failed leaves its id free.
 *
 * <p>The work does not end with the call that began it: others may wait for it. Safe for use by
 * several threads.
 */
public final class IdempotentCreates implements AutoCloseable {
  /** Beyond the create's own deadline, for undoing it. */
  private static final Duration UNDO = Duration.ofSeconds(30);

  private final SandboxStore store;
  private final SandboxCreator creator;
  private final SandboxEnder ender;
  private final Duration createTimeout;
  private final InstantSource clock;
  private final Map<Key, Work> leaders = new ConcurrentHashMap<>();
  private final ExecutorService workers = Executors.newVirtualThreadPerTaskExecutor();

  private record Key(String tenant, String request) {}

  private record Work(Fingerprint fingerprint, CompletableFuture<Sandbox> result) {}

  IdempotentCreates(
      SandboxStore store,
      SandboxCreator creator,
      SandboxEnder ender,
      Duration createTimeout,
      InstantSource clock) {
    this.store = store;
    this.creator = creator;
    this.ender = ender;
    this.createTimeout = createTimeout;
    this.clock = clock;
  }

  /** Blocks until the sandbox runs or the create has been undone. */
  public Sandbox create(String tenant, String token, CreateSpec spec) {
    return spec.request().isPresent()
        ? shared(tenant, token, spec, spec.request().get())
        : single(tenant, token, spec);
  }

  @Override
  public void close() {
    Shutdown.gently(workers);
  }

  /** Without an id to ask again by: where the caller gets no answer, the sandbox goes. */
  private Sandbox single(String tenant, String token, CreateSpec spec) {
    CompletableFuture<Sandbox> result = new CompletableFuture<>();
    Context caller = Context.current();
    run(() -> made(tenant, token, spec, () -> !result.isDone() && !caller.isCancelled()), result);
    try {
      Sandbox made = await(result);
      if (caller.isCancelled()) {
        discard(made);
      }
      return made;
    } catch (RuntimeException e) {
      // Either this is the result from now on, for the worker to see, or one came just before.
      if (!result.completeExceptionally(e) && !result.isCompletedExceptionally()) {
        discard(result.join());
      }
      throw e;
    }
  }

  private void discard(Sandbox made) {
    ender.endLater(made.id(), EndCause.DELETED, "the caller left before the answer");
  }

  private Sandbox shared(String tenant, String token, CreateSpec spec, RequestKey request) {
    Fingerprint fingerprint = request.fingerprint();
    Key key = new Key(tenant, request.id());
    Work mine = new Work(fingerprint, new CompletableFuture<>());
    @Nullable Work other = leaders.putIfAbsent(key, mine);
    if (other != null) {
      requireSame(fingerprint, other.fingerprint());
      return await(other.result());
    }
    run(
        () -> {
          try {
            return knownOrMade(tenant, token, spec, request);
          } finally {
            // Before anyone is answered: a caller that was refused may try again at once.
            leaders.remove(key);
          }
        },
        mine.result());
    return await(mine.result());
  }

  private Sandbox knownOrMade(String tenant, String token, CreateSpec spec, RequestKey request) {
    Optional<KnownRequest> known = store.findRequest(tenant, request.id(), clock.instant());
    return known.isPresent()
        ? known(tenant, known.get(), request.fingerprint())
        : made(tenant, token, spec, () -> true);
  }

  private Sandbox made(String tenant, String token, CreateSpec spec, BooleanSupplier wanted) {
    return switch (creator.create(tenant, token, spec, wanted)) {
      case SandboxCreator.Outcome.Made made -> made.sandbox();
      case SandboxCreator.Outcome.Known known ->
          known(tenant, known.request(), spec.request().orElseThrow().fingerprint());
    };
  }

  private Sandbox known(String tenant, KnownRequest known, Fingerprint fingerprint) {
    requireSame(fingerprint, known.fingerprint());
    Sandbox sandbox =
        store
            .find(tenant, known.sandbox())
            .orElseThrow(() ->
                new Refusal(
                    ErrorReason.ERROR_REASON_SANDBOX_NOT_FOUND,
                    "the sandbox of this request, "
                        + known.sandbox()
                        + ", is no longer on record"));
    if (sandbox.state() instanceof Starting) {
      // Its driver died with an earlier process; it is being undone, and then the id is free.
      throw new Refusal(
          ErrorReason.ERROR_REASON_NODE_UNAVAILABLE,
          "the scheduler stopped while this request was under way; try again");
    }
    return sandbox;
  }

  private static void requireSame(Fingerprint now, Fingerprint then) {
    if (!now.equals(then)) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_REQUEST_ID_REUSED,
          "this request id was used for another create within the last 24 hours");
    }
  }

  private void run(Supplier<Sandbox> work, CompletableFuture<Sandbox> result) {
    workers.execute(() -> {
      try {
        Sandbox sandbox = work.get();
        if (!result.complete(sandbox)) {
          discard(sandbox);
        }
      } catch (RuntimeException | Error e) {
        result.completeExceptionally(e);
      }
    });
  }

  private Sandbox await(CompletableFuture<Sandbox> result) {
    try {
      return result.get(createTimeout.plus(UNDO).toMillis(), TimeUnit.MILLISECONDS);
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
