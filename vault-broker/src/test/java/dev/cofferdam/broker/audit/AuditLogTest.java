package dev.cofferdam.broker.audit;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.broker.sql.Database;
import dev.cofferdam.testkit.TestPostgres;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.AuditEventType;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.LongStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Writers of several tenants at once, at several brokers. */
@SuppressWarnings("NullAway.Init") // JUnit fills the fields
class AuditLogTest {
  private static final int WRITERS = 5;
  private static final int EACH = 50;

  private TestPostgres postgres;
  private Database database;

  @BeforeEach
  void start() {
    postgres = TestPostgres.start();
    TestPostgres.Database empty = postgres.createDatabase();
    database =
        Database.open(empty.url(), empty.user(), empty.password(), 8, new SimpleMeterRegistry());
  }

  @AfterEach
  void stop() {
    database.close();
    postgres.close();
  }

  private static AuditRow row(String tenant, String message) {
    return new AuditRow(
        tenant,
        AuditEvent.newBuilder()
            .setType(AuditEventType.AUDIT_EVENT_TYPE_CHANGE)
            .setTime(AuditTexts.timestamp(Instant.ofEpochSecond(1_800_000_000, 123_456_789)))
            .setSandbox("sb-" + tenant)
            .setMessage(message)
            .build());
  }

  @Test
  void rowsOfSeveralTenantsInOneTransactionAreAllThereInOrderAndEveryChainIsWhole()
      throws Exception {
    List<AuditLog> logs = List.of(new AuditLog(database, "b1"), new AuditLog(database, "b2"));
    // In either order: whoever takes locks as they come waits for the other one for ever.
    List<List<String>> orders =
        List.of(
            List.of("a", "b", "a", "", "ä\u4e2d"),
            List.of("", "b", "c", "a"),
            List.of("b"),
            List.of("a"),
            // Who shares no tenant with others of its broker shares the chain.
            List.of("d"));
    try (var writers = Executors.newFixedThreadPool(WRITERS)) {
      List<Future<?>> pending = new ArrayList<>();
      for (int w = 0; w < WRITERS; w++) {
        AuditLog log = logs.get(w % logs.size());
        List<String> tenants = orders.get(w);
        String writer = "w" + w;
        pending.add(
            writers.submit(() -> {
              for (int i = 0; i < EACH; i++) {
                String message = writer + "-" + i;
                List<AuditRow> rows = tenants.stream().map(t -> row(t, message)).toList();
                boolean last = i % 2 == 0;
                database.transact(tx -> {
                  if (last) {
                    log.appendAndCommit(tx, rows);
                  } else {
                    log.append(tx, rows);
                  }
                  return message;
                });
              }
            }));
      }
      for (Future<?> one : pending) {
        one.get();
      }
    }
    assertThat(logs.getFirst().firstBroken("b1")).isEmpty();
    assertThat(logs.getFirst().firstBroken("b2")).isEmpty();
    for (String tenant : List.of("a", "b", "c", "d", "", "ä\u4e2d")) {
      List<AuditEvent> events =
          logs.getFirst()
              .read(tenant, new Cursor(0), AuditLog.Filter.ALL, 10 * EACH * WRITERS)
              .events();
      long rows = orders.stream().flatMap(List::stream).filter(tenant::equals).count() * EACH;
      assertThat(events)
          .extracting(AuditEvent::getCursor)
          .containsExactlyElementsOf(
              LongStream.rangeClosed(1, rows).mapToObj(p -> new Cursor(p).toString()).toList());
      assertThat(events).allSatisfy(e -> assertThat(e.getSandbox()).isEqualTo("sb-" + tenant));
      for (int w = 0; w < WRITERS; w++) {
        String writer = "w" + w + "-";
        assertThat(events.stream().map(AuditEvent::getMessage).filter(m -> m.startsWith(writer)))
            .isSortedAccordingTo(
                java.util.Comparator.comparingInt(
                    m -> Integer.parseInt(m.substring(writer.length()))));
      }
    }
  }
}
