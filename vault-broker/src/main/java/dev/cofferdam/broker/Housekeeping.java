package dev.cofferdam.broker;

import dev.cofferdam.broker.audit.AuditLog;
import dev.cofferdam.broker.audit.AuditRetention;
import dev.cofferdam.broker.catalog.Secrets;
import dev.cofferdam.broker.grant.Retention;
import dev.cofferdam.broker.grant.Sessions;
import dev.cofferdam.broker.oauth.AccessTokens;
import dev.cofferdam.broker.secret.ValueCache;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What happens from time to time. None waits for another: a store or a database that does not
 * answer keeps no value in memory past its time.
 */
final class Housekeeping implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(Housekeeping.class);

  private static final Duration SWEEP = Duration.ofMinutes(1);
  private static final Duration END_SESSIONS = Duration.ofSeconds(2);
  private static final Duration SWEEP_TOKENS = Duration.ofSeconds(2);
  private static final Duration CHECKPOINT = Duration.ofMinutes(5);
  private static final Duration SOONEST = Duration.ofMillis(100);

  private final ScheduledExecutorService timer;

  /**
   * @param every from the end of one run to the beginning of the next, and before the first
   */
  record Task(String name, Duration every, Runnable run) {}

  Housekeeping(List<Task> tasks) {
    timer =
        Executors.newScheduledThreadPool(
            tasks.size(), Thread.ofPlatform().daemon().name("housekeeping-", 0).factory());
    for (Task task : tasks) {
      long millis = task.every().toMillis();
      var _ =
          timer.scheduleWithFixedDelay(() -> attempt(task), millis, millis, TimeUnit.MILLISECONDS);
    }
  }

  /**
   * What a broker has to do.
   *
   * @param cacheTtl no value outlives it by more than a tenth
   */
  static Housekeeping of(
      ValueCache values,
      AccessTokens tokens,
      Secrets secrets,
      Sessions sessions,
      Retention rows,
      AuditRetention events,
      AuditLog audit,
      Duration cacheTtl) {
    Duration tenth = cacheTtl.dividedBy(10);
    return new Housekeeping(
        List.of(
            new Task("evict", tenth.compareTo(SOONEST) < 0 ? SOONEST : tenth, values::evictExpired),
            new Task("end-sessions", END_SESSIONS, sessions::endExpired),
            new Task("evict-tokens", SOONEST, tokens::evictExpired),
            new Task("sweep-tokens", SWEEP_TOKENS, secrets::sweepTokens),
            new Task("sweep-store", SWEEP, secrets::sweep),
            new Task("sweep-rows", SWEEP, rows::sweep),
            new Task("sweep-audit", SWEEP, events::sweep),
            new Task("checkpoint", CHECKPOINT, () -> checkpoint(audit))));
  }

  @Override
  public void close() {
    timer.shutdownNow();
  }

  /** A task that throws would never run again. */
  private static void attempt(Task task) {
    try {
      task.run().run();
    } catch (RuntimeException | Error e) {
      log.atWarn()
          .setMessage("housekeeping_failed")
          .addKeyValue("task", task.name())
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
