package dev.cofferdam.cli;

import io.grpc.StatusException;
import java.time.Duration;
import java.util.concurrent.locks.LockSupport;

/** How long a mesh that is away is waited for, with growing pauses. */
final class Patience {
  private static final Duration FIRST_PAUSE = Duration.ofMillis(100);
  private static final Duration LONGEST_PAUSE = Duration.ofSeconds(2);

  private final int tries;
  private int failures;

  private Patience(int tries) {
    this.tries = tries;
  }

  /** Below a second: for what may have met no mesh at all. */
  static Patience little() {
    return new Patience(3);
  }

  /** About a minute: long enough for a mesh that starts again. */
  static Patience much() {
    return new Patience(32);
  }

  /** What may happen twice. */
  interface Call<T> {
    T call() throws StatusException;
  }

  <T> T call(Call<T> call) throws StatusException, InterruptedException {
    while (true) {
      try {
        return call.call();
      } catch (StatusException e) {
        after(e);
      }
    }
  }

  /** Returns after a pause; throws what says that the mesh is there, or when patience is over. */
  void after(StatusException failure) throws StatusException, InterruptedException {
    if (!away(failure) || ++failures > tries) {
      throw failure;
    }
    Duration pause = FIRST_PAUSE.multipliedBy(1L << Math.min(failures - 1, 5));
    LockSupport.parkNanos((pause.compareTo(LONGEST_PAUSE) > 0 ? LONGEST_PAUSE : pause).toNanos());
    if (Thread.interrupted()) {
      throw new InterruptedException();
    }
  }

  /** The mesh gave a sign of life. */
  void renew() {
    failures = 0;
  }

  private static boolean away(StatusException failure) {
    return switch (failure.getStatus().getCode()) {
      case UNAVAILABLE -> true;
      // What a server that is ended hard leaves of its streams; nobody here cancelled any.
      case CANCELLED -> true;
      default -> false;
    };
  }
}
