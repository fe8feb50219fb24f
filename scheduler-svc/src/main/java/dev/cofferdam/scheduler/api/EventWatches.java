package dev.cofferdam.scheduler.api;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.scheduler.store.EventStore;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.SandboxEvent;
import io.grpc.stub.ServerCallStreamObserver;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * Open watches of lifecycle events, a virtual thread each. A watch reads from the database by its
 * cursor and only then waits, so it misses nothing and repeats nothing, however slow its reader is.
 */
public final class EventWatches implements AutoCloseable {
  private static final int BATCH = 200;
  private static final int PER_TENANT = 64;

  /** Where a wake-up was missed (another process wrote), so late an event comes at most. */
  private static final long LOOK_AGAIN_S = 5;

  private final EventStore events;
  private final Map<String, AtomicInteger> open = new ConcurrentHashMap<>();
  private final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();

  public EventWatches(EventStore events) {
    this.events = events;
  }

  /**
   * Returns at once. Called before the handler returns, for the observer takes its callbacks only
   * until then.
   *
   * @throws Refusal CURSOR_INVALID, or QUOTA_EXCEEDED for too many at a time
   */
  void watch(
      String tenant,
      String sandbox,
      String cursor,
      boolean follow,
      ServerCallStreamObserver<SandboxEvent> observer) {
    long from = OpaqueTokens.parseCursor(tenant, cursor, cursor.isEmpty() ? 0 : events.last());
    AtomicInteger count = open.computeIfAbsent(tenant, _ -> new AtomicInteger());
    if (count.incrementAndGet() > PER_TENANT) {
      count.decrementAndGet();
      throw new Refusal(
          ErrorReason.ERROR_REASON_QUOTA_EXCEEDED,
          "tenant " + tenant + " watches " + PER_TENANT + " times already");
    }
    Semaphore signal = new Semaphore(0);
    observer.setOnReadyHandler(signal::release);
    observer.setOnCancelHandler(signal::release);
    threads.execute(() -> {
      try (var _ = events.subscribe(tenant, signal::release)) {
        pump(tenant, sandbox, from, follow, observer, signal);
      } finally {
        count.decrementAndGet();
      }
    });
  }

  @Override
  public void close() {
    threads.shutdownNow();
  }

  private void pump(
      String tenant,
      String sandbox,
      long from,
      boolean follow,
      ServerCallStreamObserver<SandboxEvent> observer,
      Semaphore signal) {
    long seen = from;
    try {
      while (!observer.isCancelled()) {
        signal.drainPermits();
        boolean more = true;
        if (observer.isReady()) {
          List<dev.cofferdam.scheduler.store.SandboxEvent> batch =
              events.after(tenant, sandbox, seen, BATCH);
          for (var event : batch) {
            if (!awaitReady(observer, signal)) {
              return;
            }
            observer.onNext(Wire.event(tenant, event));
            seen = event.cursor();
          }
          more = batch.size() == BATCH;
          if (!more && !follow) {
            observer.onCompleted();
            return;
          }
        } else {
          more = false;
        }
        if (!more) {
          var _ = signal.tryAcquire(LOOK_AGAIN_S, TimeUnit.SECONDS);
        }
      }
    } catch (InterruptedException e) {
      // The listener that stopped before has ended the call.
      Thread.currentThread().interrupt();
    } catch (RuntimeException e) {
      fail(observer, e);
    }
  }

  /** False once the caller has left. */
  private static boolean awaitReady(
      ServerCallStreamObserver<SandboxEvent> observer, Semaphore signal)
      throws InterruptedException {
    while (!observer.isReady()) {
      if (observer.isCancelled()) {
        return false;
      }
      var _ = signal.tryAcquire(LOOK_AGAIN_S, TimeUnit.SECONDS);
    }
    return !observer.isCancelled();
  }

  private static void fail(
      ServerCallStreamObserver<SandboxEvent> observer, RuntimeException cause) {
    @Nullable RuntimeException refused = observer.isCancelled() ? null : Refusals.toStatus(cause);
    if (refused != null) {
      observer.onError(refused);
    }
  }
}
