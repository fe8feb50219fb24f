package dev.cofferdam.broker;

import dev.cofferdam.broker.audit.AuditLog;
import dev.cofferdam.broker.catalog.Secrets;
import dev.cofferdam.broker.secret.ValueCache;
import java.time.Duration;
import java.util.HexFormat;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What happens from time to time: values past their time are zeroed, garbage is swept. */
final class Housekeeping implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(Housekeeping.class);
  private static final Duration SWEEP = Duration.ofMinutes(1);
  private static final Duration CHECKPOINT = Duration.ofMinutes(5);
  private static final Duration SOONEST = Duration.ofMillis(100);

  private final ScheduledExecutorService timer =
      Executors.newSingleThreadScheduledExecutor(
          Thread.ofPlatform().daemon().name("housekeeping").factory());

  /**
   * @param cacheTtl no value outlives it by more than a tenth
   */
  Housekeeping(ValueCache values, Secrets secrets, AuditLog audit, Duration cacheTtl) {
    Duration tenth = cacheTtl.dividedBy(10);
    repeat(tenth.compareTo(SOONEST) < 0 ? SOONEST : tenth, values::evictExpired);
    repeat(SWEEP, secrets::sweep);
    repeat(CHECKPOINT, () -> checkpoint(audit));
  }

  @Override
  public void close() {
    timer.shutdownNow();
  }

  private void repeat(Duration every, Runnable task) {
    var _ =
        timer.scheduleWithFixedDelay(
            () -> attempt(task), every.toMillis(), every.toMillis(), TimeUnit.MILLISECONDS);
  }

  /** A task that throws would never run again. */
  private static void attempt(Runnable task) {
    try {
      task.run();
    } catch (RuntimeException e) {
      log.atWarn()
          .setMessage("housekeeping_failed")
          .addKeyValue("why", String.valueOf(e.getMessage()))
          .log();
    }
  }

  /** The log leaves the machine by other ways than the database: it can bear witness against it. */
  private static void checkpoint(AuditLog audit) {
    audit
        .checkpoint()
        .ifPresent(at ->
            log.atInfo()
                .setMessage("audit_checkpoint")
                .addKeyValue("broker", at.broker())
                .addKeyValue("number", at.number())
                .addKeyValue("hash", HexFormat.of().formatHex(at.hash().toByteArray()))
                .log());
  }
}
