package dev.cofferdam.gateway.proxy;

import io.netty.channel.EventLoop;
import io.netty.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * One deadline at a time, which may be moved with every part of a message for little more than the
 * price of a clock: a timer that comes too early is set anew, not each time that it moves. Used on
 * its event loop.
 */
final class Deadline {
  private final EventLoop loop;
  private @Nullable Future<?> timer;
  private @Nullable Runnable otherwise;
  private long timerEnds;
  private long ends;

  Deadline(EventLoop loop) {
    this.loop = loop;
  }

  /** In place of the one before. */
  void within(long millis, Runnable otherwise) {
    this.otherwise = otherwise;
    ends = loop.ticker().nanoTime() + TimeUnit.MILLISECONDS.toNanos(millis);
    if (timer == null || ends - timerEnds < 0) {
      start();
    }
  }

  private void start() {
    stop();
    timerEnds = ends;
    timer =
        loop.schedule(
            this::over, Math.max(0, ends - loop.ticker().nanoTime()), TimeUnit.NANOSECONDS);
  }

  private void over() {
    timer = null;
    Runnable due = otherwise;
    if (due == null) {
      return;
    }
    if (ends - loop.ticker().nanoTime() > 0) {
      start();
    } else {
      otherwise = null;
      due.run();
    }
  }

  private void stop() {
    if (timer != null) {
      timer.cancel(false);
      timer = null;
    }
  }

  /** There is none. */
  void cancel() {
    otherwise = null;
    stop();
  }
}
