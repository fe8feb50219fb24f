package dev.cofferdam.broker;

import static dev.cofferdam.broker.Refused.assertRefused;
import static dev.cofferdam.broker.TestBroker.VALUE;
import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.broker.TestBroker.Attached;
import dev.cofferdam.testkit.TestPostgres;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.AuditEventType;
import dev.cofferdam.v1.ErrorReason;
import io.grpc.Status;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** No record, no value: the uses that the database does not take. */
@SuppressWarnings("NullAway.Init") // JUnit fills the fields
class UnrecordedUseTest {
  private TestPostgres postgres;
  private TestBroker broker;

  @BeforeEach
  void start(@TempDir Path directory) throws Exception {
    postgres = TestPostgres.start();
    broker = new TestBroker(directory, postgres);
  }

  @AfterEach
  void stop() {
    broker.close();
    postgres.close();
  }

  private void execute(String sql) throws SQLException {
    try (Connection connection = broker.database.connect();
        Statement statement = connection.createStatement()) {
      statement.execute(sql);
    }
  }

  /** Refuses every use, when the row is inserted or not before the commit. */
  private void refuseUses(String trigger) throws SQLException {
    execute(
        "create function refuse_use() returns trigger language plpgsql as"
            + " $$ begin raise exception 'not taken'; end $$");
    execute(
        trigger.formatted("use_refused")
            + " for each row when (new.type = %d) execute function refuse_use()"
                .formatted(AuditEventType.AUDIT_EVENT_TYPE_USE_VALUE));
  }

  private void assertWithheld(Attached attached) {
    assertRefused(
        () -> broker.gateway("g1").materialize(attached.request().build()),
        Status.Code.UNAVAILABLE,
        ErrorReason.ERROR_REASON_DATABASE_UNAVAILABLE);
  }

  private void assertHandedOutAndOnRecordOnce(Attached attached) {
    var response = broker.gateway("g1").materialize(attached.request().build());
    assertThat(TestBroker.texts(response)).containsExactly(VALUE);
    assertThat(broker.events(attached.apiToken()))
        .extracting(AuditEvent::getType)
        .containsOnlyOnce(AuditEventType.AUDIT_EVENT_TYPE_USE);
  }

  @Test
  void aUseThatIsNotInsertedIsNone() throws SQLException {
    Attached attached = broker.attached("api-key");
    refuseUses("create trigger %s before insert on audit_event");
    assertWithheld(attached);
    execute("drop trigger use_refused on audit_event");
    assertHandedOutAndOnRecordOnce(attached);
  }

  @Test
  void aUseThatIsNotCommittedIsNone() throws SQLException {
    Attached attached = broker.attached("api-key");
    refuseUses(
        "create constraint trigger %s after insert on audit_event deferrable initially deferred");
    assertWithheld(attached);
    execute("drop trigger use_refused on audit_event");
    assertHandedOutAndOnRecordOnce(attached);
  }

  @Test
  void withoutTheDatabaseNothingIsHandedOutAlthoughTheValueIsCached() {
    Attached attached = broker.attached("api-key");
    assertHandedOutAndOnRecordOnce(attached);
    postgres.close();
    assertWithheld(attached);
  }
}
