package dev.cofferdam.broker;

import static dev.cofferdam.broker.Refused.assertRefused;
import static dev.cofferdam.broker.secret.SecretStoreContract.value;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.broker.TestBroker.Attached;
import dev.cofferdam.broker.audit.AuditLog;
import dev.cofferdam.broker.grant.MaterialiseRequest;
import dev.cofferdam.broker.grant.Materialiser;
import dev.cofferdam.broker.oauth.NoTokens;
import dev.cofferdam.broker.secret.SecretKey;
import dev.cofferdam.broker.secret.SecretStore;
import dev.cofferdam.broker.secret.SecretValue;
import dev.cofferdam.broker.secret.StoreUnavailableException;
import dev.cofferdam.broker.secret.ValueCache;
import dev.cofferdam.broker.sql.Database;
import dev.cofferdam.testkit.TestPostgres;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.AuditEventType;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.ErrorReason;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.function.Supplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Uses that are on record and whose value could not be had after all: the record says that too. */
@SuppressWarnings("NullAway.Init") // JUnit fills the fields
class WithheldUseTest {
  private final ScriptedStore store = new ScriptedStore();
  private TestPostgres postgres;
  private TestBroker broker;
  private Database database;
  private ValueCache values;
  private Materialiser materialiser;
  private Attached attached;

  @BeforeEach
  void start(@TempDir Path directory) throws Exception {
    postgres = TestPostgres.start();
    broker = new TestBroker(directory, postgres);
    attached = broker.attached("api-key");
    var own = broker.database;
    database = Database.open(own.url(), own.user(), own.password(), 2, new SimpleMeterRegistry());
    values = new ValueCache(store, broker.clock, Duration.ZERO, 1);
    materialiser =
        new Materialiser(
            database, new AuditLog(database, "b2"), values, NoTokens.of(values), broker.clock);
  }

  @AfterEach
  void stop() {
    materialiser.close();
    values.close();
    database.close();
    broker.close();
    postgres.close();
  }

  /** Answers each reading as the test said it would. */
  private static final class ScriptedStore implements SecretStore {
    private final Deque<Supplier<SecretValue>> answers = new ArrayDeque<>();

    @Override
    public SecretValue get(SecretKey key) {
      return answers.remove().get();
    }

    @Override
    public void put(SecretKey key, SecretValue value) {
      throw new UnsupportedOperationException();
    }

    @Override
    public void delete(SecretKey key) {
      throw new UnsupportedOperationException();
    }
  }

  /** With the placeholder in two parts: two values, or none. */
  private List<SecretValue> materialise() throws InterruptedException {
    var use = attached.request().getUses(0);
    return materialiser.materialise(
        new MaterialiseRequest(
            "g1",
            attached.sandbox(),
            attached.slot(),
            attached.generation(),
            "0011",
            TestBroker.HOST,
            443,
            "GET",
            "/",
            true,
            List.of(
                new MaterialiseRequest.Found(use.getPlaceholderSha256(), use.getTarget(), 1),
                new MaterialiseRequest.Found(use.getPlaceholderSha256(), "basic:password", 1))));
  }

  private void assertOnRecordAsWithheldFor(EgressReason reason) {
    assertThat(broker.events(attached.apiToken()))
        .filteredOn(event -> event.getType() == AuditEventType.AUDIT_EVENT_TYPE_USE)
        .extracting(AuditEvent::getReason)
        .containsExactly(
            EgressReason.EGRESS_REASON_UNSPECIFIED,
            EgressReason.EGRESS_REASON_UNSPECIFIED,
            reason,
            reason);
  }

  @Test
  void aStoreThatIsAway() {
    SecretValue first = value(TestBroker.VALUE);
    store.answers.add(() -> first);
    store.answers.add(() -> {
      throw new StoreUnavailableException("away");
    });
    assertRefused(this::materialise, ErrorReason.ERROR_REASON_STORE_UNAVAILABLE);
    assertThat(first.segment().scope().isAlive()).isFalse();
    assertOnRecordAsWithheldFor(EgressReason.EGRESS_REASON_STORE_UNAVAILABLE);
  }

  @Test
  void aStoreThatFailsInAWayThatNobodyForesaw() {
    SecretValue first = value(TestBroker.VALUE);
    IllegalStateException failure = new IllegalStateException("unforeseen");
    store.answers.add(() -> first);
    store.answers.add(() -> {
      throw failure;
    });
    assertThatThrownBy(this::materialise).isSameAs(failure);
    assertThat(first.segment().scope().isAlive()).isFalse();
    assertOnRecordAsWithheldFor(EgressReason.EGRESS_REASON_INTERNAL);
  }

  @Test
  void noMemoryForTheValue() {
    SecretValue first = value(TestBroker.VALUE);
    OutOfMemoryError failure = new OutOfMemoryError("native memory");
    store.answers.add(() -> first);
    store.answers.add(() -> {
      throw failure;
    });
    assertThatThrownBy(this::materialise).isSameAs(failure);
    assertThat(first.segment().scope().isAlive()).isFalse();
    assertOnRecordAsWithheldFor(EgressReason.EGRESS_REASON_INTERNAL);
  }

  @Test
  void theStoresFailureIsToldAlthoughTheDatabaseIsAwayByThen() {
    store.answers.add(() -> {
      postgres.close();
      throw new StoreUnavailableException("away");
    });
    assertRefused(this::materialise, ErrorReason.ERROR_REASON_STORE_UNAVAILABLE);
  }
}
