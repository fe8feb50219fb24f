package dev.cofferdam.broker.catalog;

import static dev.cofferdam.broker.Refused.assertRefused;
import static dev.cofferdam.broker.secret.SecretStoreContract.value;
import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.broker.audit.AuditLog;
import dev.cofferdam.broker.audit.Cursor;
import dev.cofferdam.broker.oauth.NoTokens;
import dev.cofferdam.broker.policy.Binding;
import dev.cofferdam.broker.policy.HostPattern;
import dev.cofferdam.broker.policy.UseLimits;
import dev.cofferdam.broker.secret.MemoryStore;
import dev.cofferdam.broker.secret.SecretKey;
import dev.cofferdam.broker.secret.SecretValue;
import dev.cofferdam.broker.secret.ValueCache;
import dev.cofferdam.broker.sql.Database;
import dev.cofferdam.broker.sql.Tx;
import dev.cofferdam.testkit.SettableClock;
import dev.cofferdam.testkit.TestPostgres;
import dev.cofferdam.v1.ErrorReason;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What is left of a write whose store is away. */
@SuppressWarnings("NullAway.Init") // JUnit fills the fields
class SecretsTest {
  private static final String FIRST = "first-0123456789abcdef";

  private final SettableClock clock = SettableClock.fixed();
  private final MemoryStore store = new MemoryStore();
  private TestPostgres postgres;
  private Database database;
  private ValueCache cache;
  private AuditLog audit;
  private Secrets secrets;

  @BeforeEach
  void start() {
    postgres = TestPostgres.start();
    TestPostgres.Database empty = postgres.createDatabase();
    database =
        Database.open(empty.url(), empty.user(), empty.password(), 2, new SimpleMeterRegistry());
    cache = new ValueCache(store, clock, Duration.ofSeconds(30), 4);
    audit = new AuditLog(database, "b1");
    secrets =
        new Secrets(database, store, cache, NoTokens.of(cache), audit, new NoDependents(), clock);
  }

  @AfterEach
  void stop() {
    cache.close();
    store.close();
    database.close();
    postgres.close();
  }

  private static final class NoDependents implements Secrets.Dependents {
    @Override
    public void checkBindings(Tx tx, Secret wanted) {}

    @Override
    public void changed(Tx tx, Secret present) {}

    @Override
    public void deleted(Tx tx, UUID secret) {}
  }

  private Secret put(String text, boolean replace) {
    Binding binding =
        Binding.of(
            List.of(HostPattern.parse("api.example.com")),
            List.of(),
            1,
            false,
            false,
            Optional.empty());
    try (SecretValue value = value(text)) {
      return secrets.put(
          "acme",
          new Secrets.Draft(
              "api-key",
              List.of(binding),
              UseLimits.NONE,
              false,
              ForkMode.DROP,
              Optional.empty(),
              Optional.empty(),
              replace),
          value,
          "tk-1");
    }
  }

  private Secret rotate(String text) {
    try (SecretValue value = value(text)) {
      return secrets.rotate("acme", "api-key", "", value, "tk-1");
    }
  }

  private int events() {
    return audit.read("acme", new Cursor(0), AuditLog.Filter.ALL, 100).events().size();
  }

  private List<SecretKey> noted() {
    return database.transact(
        tx -> SecretRows.garbageDue(tx, clock.instant().plus(Duration.ofDays(1)), 100));
  }

  private void assertHolds(SecretKey key, String text) {
    try (SecretValue expected = value(text);
        SecretValue present = cache.get(key)) {
      assertThat(present.sameAs(expected)).isTrue();
    }
  }

  @Test
  void aSecretWhoseValueWasNotTakenDoesNotComeIntoBeing() {
    store.away = true;
    assertRefused(() -> put(FIRST, false), ErrorReason.ERROR_REASON_STORE_UNAVAILABLE);
    assertThat(secrets.list("acme", "", 10)).isEmpty();
    assertThat(events()).isZero();
    store.away = false;
    assertThat(put(FIRST, false).version()).isEqualTo(1);
  }

  @Test
  void whileTheStoreIsAwayTheSecretStaysAsItWas() {
    Secret stored = put(FIRST, false);
    store.away = true;
    assertRefused(
        () -> rotate("second-0123456789abcdef"), ErrorReason.ERROR_REASON_STORE_UNAVAILABLE);
    assertRefused(
        () -> put("third-0123456789abcdef", true), ErrorReason.ERROR_REASON_STORE_UNAVAILABLE);
    assertThat(secrets.list("acme", "", 10)).containsExactly(stored);
    assertThat(events()).isEqualTo(1);
    store.away = false;
    assertHolds(stored.key(), FIRST);
  }

  @Test
  void whatTheStoreMayHaveTakenAllTheSameIsSweptUp() {
    store.away = true;
    assertRefused(() -> put(FIRST, false), ErrorReason.ERROR_REASON_STORE_UNAVAILABLE);
    assertThat(noted()).hasSize(1);
    store.away = false;
    clock.advance(Duration.ofMinutes(10));
    secrets.sweep();
    assertThat(noted()).isEmpty();
  }

  @Test
  void aDeletionIsInForceWithoutTheStoreAndItsValueGoesLater() {
    Secret stored = put(FIRST, false);
    store.away = true;
    secrets.delete("acme", "api-key", "tk-1");
    assertThat(secrets.list("acme", "", 10)).isEmpty();
    assertThat(noted()).containsExactly(stored.key());
    store.away = false;
    secrets.sweep();
    assertThat(noted()).isEmpty();
    assertRefused(() -> rotate(FIRST), ErrorReason.ERROR_REASON_SECRET_NOT_FOUND);
    assertThat(store.holds(stored.key())).isFalse();
  }
}
