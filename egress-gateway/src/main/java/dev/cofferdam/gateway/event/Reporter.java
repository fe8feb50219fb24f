package dev.cofferdam.gateway.event;

import dev.cofferdam.internal.v1.ReportDecisionsRequest;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.LongConsumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Carries the spool to the broker, over and over until each number is acknowledged. */
public final class Reporter implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(Reporter.class);

  /** A way to the broker. */
  public interface Uplink {
    /**
     * @param acknowledged told the highest number kept
     * @param ended told once, when nothing more can be sent
     * @throws RuntimeException when there is no way now
     */
    Line open(LongConsumer acknowledged, Runnable ended) throws InterruptedException;
  }

  /** One open stream. */
  public interface Line extends AutoCloseable {
    /**
     * Blocks while the broker is slower than its events.
     *
     * @param events in order, at least one, of a size that fits one message
     */
    void send(List<ReportDecisionsRequest> events) throws InterruptedException;

    @Override
    void close();
  }

  private static final long IDLE_MILLIS = 1000;
  private static final long RETRY_MILLIS = 500;

  private final EventSpool spool;
  private final Decisions decisions;
  private final Uplink uplink;
  private final Thread thread;

  public Reporter(EventSpool spool, Decisions decisions, Uplink uplink) {
    this.spool = spool;
    this.decisions = decisions;
    this.uplink = uplink;
    this.thread = Thread.ofVirtual().name("decisions").start(this::run);
  }

  private void run() {
    try {
      while (!Thread.currentThread().isInterrupted()) {
        report();
        // So that a mesh of gateways does not return to a restarted broker all at once.
        Thread.sleep(RETRY_MILLIS / 2 + ThreadLocalRandom.current().nextLong(RETRY_MILLIS));
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void report() throws InterruptedException {
    AtomicBoolean ended = new AtomicBoolean();
    try (Line line = uplink.open(spool::acknowledge, () -> ended.set(true))) {
      long sent = 0;
      while (!ended.get()) {
        decisions.flush();
        List<ReportDecisionsRequest> events = spool.after(sent, IDLE_MILLIS);
        if (!events.isEmpty()) {
          line.send(events);
          sent = events.getLast().getNumber();
        }
      }
    } catch (RuntimeException e) {
      log.atWarn().setMessage("report_failed").addKeyValue("why", e.toString()).log();
    }
  }

  @Override
  public void close() {
    thread.interrupt();
    try {
      thread.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    decisions.finish();
  }
}
