package dev.cofferdam.gateway;

import java.io.IOException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;

/** Keeps a connection busy with a byte now and then, until the other side has had enough. */
final class Trickle implements AutoCloseable {
  private static final long PACE_NANOS = 200_000_000;

  private final AtomicInteger sent = new AtomicInteger();
  private final Thread thread;

  /**
   * @param beginning sent at once
   */
  Trickle(RawGuest guest, String beginning) throws IOException {
    guest.send(beginning);
    thread =
        Thread.ofVirtual()
            .start(() -> {
              try {
                while (!Thread.currentThread().isInterrupted()) {
                  LockSupport.parkNanos(PACE_NANOS);
                  guest.send("b");
                  sent.incrementAndGet();
                }
              } catch (IOException e) {
                // It was closed.
              }
            });
  }

  int sent() {
    return sent.get();
  }

  @Override
  public void close() {
    thread.interrupt();
  }
}
