package dev.cofferdam.broker.audit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.broker.sql.Database;
import dev.cofferdam.testkit.TestPostgres;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.AuditEventType;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

@SuppressWarnings("NullAway.Init") // JUnit fills the fields
class AuditRetentionTest {
  private static final Instant NOW = Instant.parse("2030-06-01T00:00:00Z");
  private static final Duration KEPT = Duration.ofDays(30);
  private static final Instant OVER = NOW.minus(KEPT).minusNanos(1000);
  private static final Instant NOT_YET = NOW.minus(KEPT);

  private TestPostgres postgres;
  private TestPostgres.Database empty;
  private Database database;
  private AuditLog log;
  private AuditRetention retention;

  @BeforeEach
  void start() {
    postgres = TestPostgres.start();
    empty = postgres.createDatabase();
    database =
        Database.open(empty.url(), empty.user(), empty.password(), 8, new SimpleMeterRegistry());
    log = new AuditLog(database, "b1");
    retention = new AuditRetention(database, InstantSource.fixed(NOW), KEPT);
  }

  @AfterEach
  void stop() {
    database.close();
    postgres.close();
  }

  private void write(AuditLog to, String tenant, Instant... times) {
    List<AuditRow> rows = new ArrayList<>();
    for (Instant time : times) {
      AuditEvent event =
          AuditEvent.newBuilder()
              .setType(AuditEventType.AUDIT_EVENT_TYPE_CHANGE)
              .setTime(AuditTexts.timestamp(time))
              .build();
      rows.add(new AuditRow(tenant, event));
    }
    var _ =
        database.transact(tx -> {
          to.append(tx, rows);
          return rows;
        });
  }

  private List<String> kept(String tenant) {
    return log.read(tenant, new Cursor(0), AuditLog.Filter.ALL, 10_000).events().stream()
        .map(AuditEvent::getCursor)
        .toList();
  }

  private static List<String> cursors(int... positions) {
    return IntStream.of(positions).mapToObj(p -> new Cursor(p).toString()).toList();
  }

  @Test
  void whatIsOverIsForgottenAndTheRestVouchesForItself() {
    AuditLog second = new AuditLog(database, "b2");
    write(log, "a", OVER, OVER, NOT_YET);
    write(second, "a", OVER);
    write(second, "b", NOW);
    retention.sweep();
    assertThat(kept("a")).isEqualTo(cursors(3));
    assertThat(kept("b")).isEqualTo(cursors(1));
    assertThat(log.firstBroken("b1")).isEmpty();
    assertThat(log.firstBroken("b2")).isEmpty();
    write(log, "a", NOW);
    assertThat(kept("a")).as("positions go on").isEqualTo(cursors(3, 5));
    assertThat(log.firstBroken("b1")).isEmpty();
  }

  @Test
  void whereNothingIsLeftTheChainGoesOn() {
    write(log, "a", OVER, OVER);
    retention.sweep();
    assertThat(kept("a")).isEmpty();
    assertThat(log.firstBroken("b1")).isEmpty();
    write(log, "a", OVER, NOW);
    retention.sweep();
    assertThat(kept("a")).isEqualTo(cursors(4));
    assertThat(log.firstBroken("b1")).isEmpty();
  }

  /** A chain has no holes: what came late, with an earlier time, waits for what was before it. */
  @Test
  void onlyTheBeginningOfAChainIsForgotten() {
    write(log, "a", OVER, NOW, OVER);
    retention.sweep();
    assertThat(kept("a")).isEqualTo(cursors(2, 3));
    assertThat(log.firstBroken("b1")).isEmpty();
  }

  @Test
  void moreThanFitsInOneTransactionByTwoAtOnce() throws Exception {
    Instant[] many = new Instant[2500];
    java.util.Arrays.fill(many, OVER);
    write(log, "a", many);
    write(log, "a", NOW);
    AuditRetention other = new AuditRetention(database, InstantSource.fixed(NOW), KEPT);
    try (var brokers = Executors.newFixedThreadPool(3)) {
      Future<?> one = brokers.submit(retention::sweep);
      Future<?> two = brokers.submit(other::sweep);
      // Read while it is forgotten: never taken for broken.
      Future<?> reader =
          brokers.submit(() -> {
            do {
              assertThat(log.firstBroken("b1")).isEmpty();
            } while (!one.isDone() || !two.isDone());
          });
      one.get();
      two.get();
      reader.get();
    }
    retention.sweep();
    assertThat(kept("a")).isEqualTo(cursors(2501));
  }

  @Test
  void whatIsKeptIsAppendOnlyAndFoundWhereItWasChanged() throws SQLException {
    write(log, "a", OVER, NOT_YET, NOW);
    retention.sweep();
    try (Connection connection = empty.connect();
        Statement statement = connection.createStatement()) {
      for (String sql :
          List.of(
              "delete from audit_event where number = 2",
              "update audit_event set sandbox = 'x'",
              "truncate audit_event")) {
        assertThatThrownBy(() -> statement.execute(sql)).hasMessageContaining("append-only");
      }
      // As somebody with the database's owner's rights and no scruples would.
      statement.execute("alter table audit_event disable trigger all");
      statement.execute("update audit_event set event = event || '\\x5800' where number = 2");
      assertThat(log.firstBroken("b1")).contains(2L);
      statement.execute("delete from audit_event where number = 2");
      assertThat(log.firstBroken("b1")).contains(2L);
      statement.execute("update audit_start set number = 2");
      assertThat(log.firstBroken("b1")).as("a start that nobody vouches for").contains(3L);
    }
  }
}
