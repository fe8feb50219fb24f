package dev.cofferdam.broker.api;

import dev.cofferdam.broker.sql.Signal;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.ErrorReason;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Semaphore;
import java.util.function.Supplier;

/**
 * The bounds of the streams that have no end of their own: how many a tenant may have open, and how
 * many read the database at once. Uses of secrets need its connections too.
 */
final class Watches {
  /** What another broker commits is found by looking, so often. */
  static final Duration LOOK = Duration.ofMillis(500);

  private final int perTenant;
  private final Map<String, Integer> open = new ConcurrentHashMap<>();
  private final Semaphore readers;

  /**
   * @param perTenant streams of one tenant, at least 1
   * @param readers of all tenants together, at least 1
   */
  Watches(int perTenant, int readers) {
    this.perTenant = perTenant;
    this.readers = new Semaphore(readers, true);
  }

  /**
   * Counts one more, until {@link #close}.
   *
   * @throws Refusal QUOTA_EXCEEDED when the tenant has as many as it may
   */
  void open(String tenant) {
    var _ =
        open.merge(
            tenant,
            1,
            (now, one) -> {
              if (now >= perTenant) {
                throw new Refusal(
                    ErrorReason.ERROR_REASON_QUOTA_EXCEEDED,
                    "%d watches are open here, expected at most that many".formatted(now));
              }
              return now + one;
            });
  }

  void close(String tenant) {
    var _ = open.computeIfPresent(tenant, (same, now) -> now == 1 ? null : now - 1);
  }

  /** What a stream does until its caller has left. */
  interface Loop<T> {
    /**
     * @param ready raised when the caller takes more, or has left
     */
    void run(ServerCallStreamObserver<T> call, Signal ready) throws InterruptedException;
  }

  /**
   * Runs one more stream; whatever ends it is told to its caller.
   *
   * @param watchers a virtual thread for each
   * @throws Refusal QUOTA_EXCEEDED when the tenant has as many as it may
   */
  <T> void start(
      ExecutorService watchers, String tenant, StreamObserver<T> observer, Loop<T> loop) {
    ServerCallStreamObserver<T> call = (ServerCallStreamObserver<T>) observer;
    Signal ready = new Signal();
    call.setOnReadyHandler(ready::raise);
    // Its presence keeps a send to a caller who has left from throwing; the loop looks itself.
    call.setOnCancelHandler(ready::raise);
    open(tenant);
    var _ =
        watchers.submit(() -> {
          try {
            Answers.told(call, () -> loop.run(call, ready));
          } finally {
            close(tenant);
          }
        });
  }

  /** Reads when it is its turn. */
  <T> T read(Supplier<T> reading) throws InterruptedException {
    readers.acquire();
    try {
      return reading.get();
    } finally {
      readers.release();
    }
  }

  /** How many wait for their turn to read. */
  int waiting() {
    return readers.getQueueLength();
  }

  /**
   * Until its reader takes more, or has left.
   *
   * @param ready raised when either happens
   */
  static void awaitReady(ServerCallStreamObserver<?> call, Signal ready)
      throws InterruptedException {
    while (!call.isReady() && !call.isCancelled()) {
      long seen = ready.seen();
      if (!call.isReady() && !call.isCancelled()) {
        ready.await(seen, LOOK);
      }
    }
  }
}
