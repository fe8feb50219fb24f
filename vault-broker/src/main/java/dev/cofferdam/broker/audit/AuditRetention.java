package dev.cofferdam.broker.audit;

import com.google.protobuf.ByteString;
import dev.cofferdam.broker.sql.Database;
import dev.cofferdam.broker.sql.Tx;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Forgets events that are older than the record is kept for, from the beginning of each broker's
 * chain on. What is left of a chain vouches for itself as before: its start is on record, and said
 * to the log with its hash, which an earlier checkpoint there bears witness to. An event with a
 * later time keeps those behind it until its own time is over.
 *
 * <p>Any number of brokers may do so at once, each for the chains of all.
 */
public final class AuditRetention {
  private static final Logger log = LoggerFactory.getLogger(AuditRetention.class);

  /** Rows in one transaction. */
  private static final int BATCH = 1000;

  private final Database database;
  private final InstantSource clock;
  private final Duration kept;

  /**
   * @param kept how long an event is kept at least, from its time
   */
  public AuditRetention(Database database, InstantSource clock, Duration kept) {
    this.database = database;
    this.clock = clock;
    this.kept = kept;
  }

  public void sweep() {
    Instant before = clock.instant().minus(kept);
    List<String> brokers =
        database.transact(tx ->
            tx.list("select broker from audit_chain order by broker", row -> row.getString(1)));
    brokers.forEach(broker -> sweep(broker, before));
  }

  private void sweep(String broker, Instant before) {
    int gone;
    do {
      gone = database.transact(tx -> forget(tx, broker, before));
    } while (gone == BATCH);
  }

  private record Old(long number, ByteString hash, boolean over) {}

  /** Returns how many rows there were to forget. */
  private static int forget(Tx tx, String broker, Instant before) throws SQLException {
    // Another broker that is at it goes on with it.
    Optional<Long> start =
        tx.first(
            "select number from audit_start where broker = ? for update skip locked",
            row -> row.getLong(1),
            broker);
    if (start.isEmpty()) {
      return 0;
    }
    List<Old> over =
        tx
            .list(
                "select number, hash, time < ? as over from audit_event"
                    + " where broker = ? and number > ? order by number limit ?",
                row ->
                    new Old(
                        row.getLong("number"),
                        ByteString.copyFrom(row.getBytes("hash")),
                        row.getBoolean("over")),
                before,
                broker,
                start.get(),
                BATCH)
            .stream()
            .takeWhile(Old::over)
            .toList();
    if (over.isEmpty()) {
      return 0;
    }
    Old last = over.getLast();
    tx.update(
        "update audit_start set number = ?, hash = ? where broker = ?",
        last.number(),
        last.hash().toByteArray(),
        broker);
    tx.update("delete from audit_event where broker = ? and number <= ?", broker, last.number());
    tx.afterCommit(() ->
        log.atInfo()
            .setMessage("audit_forgotten")
            .addKeyValue("broker", broker)
            .addKeyValue("number", last.number())
            .addKeyValue("hash", HexFormat.of().formatHex(last.hash().toByteArray()))
            .log());
    return over.size();
  }
}
