package dev.cofferdam.broker.secret;

import static dev.cofferdam.broker.secret.SecretStoreContract.key;
import static dev.cofferdam.broker.secret.SecretStoreContract.value;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.testkit.SettableClock;
import java.time.Duration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class ValueCacheTest {
  private final SettableClock clock = SettableClock.fixed();
  private final MemoryStore store = new MemoryStore();
  private final ValueCache cache = new ValueCache(store, clock, Duration.ofSeconds(30), 2);
  private final SecretKey one = key("acme", "one", 1);
  private final SecretKey two = key("acme", "two", 1);
  private final SecretKey three = key("acme", "three", 1);

  @BeforeEach
  void fill() {
    for (SecretKey key : new SecretKey[] {one, two, three}) {
      try (SecretValue value = value("0123456789abcdef-" + key.name())) {
        store.put(key, value);
      }
    }
  }

  @AfterEach
  void close() {
    cache.close();
    store.close();
  }

  @Test
  void aSecondUseCostsNoReading() {
    cache.get(one).close();
    cache.get(one).close();
    assertThat(store.reads).hasValue(1);
  }

  @Test
  void itServesWhileTheStoreIsAwayAndNoLonger() {
    cache.get(one).close();
    store.away = true;
    clock.advance(Duration.ofSeconds(29));
    cache.get(one).close();
    clock.advance(Duration.ofSeconds(1));
    assertThatThrownBy(() -> cache.get(one)).isInstanceOf(StoreUnavailableException.class);
  }

  @Test
  void aUseDoesNotProlong() {
    cache.get(one).close();
    for (int i = 0; i < 3; i++) {
      clock.advance(Duration.ofSeconds(10));
      cache.get(one).close();
    }
    assertThat(store.reads).hasValue(2);
  }

  @Test
  void whatIsPastItsTimeIsZeroed() {
    cache.get(one).close();
    cache.get(two).close();
    assertThat(cache.size()).isEqualTo(2);
    clock.advance(Duration.ofSeconds(30));
    cache.evictExpired();
    assertThat(cache.size()).isZero();
  }

  @Test
  void theLeastRecentlyUsedMakesRoom() {
    cache.get(one).close();
    cache.get(two).close();
    cache.get(one).close();
    cache.get(three).close();
    assertThat(cache.size()).isEqualTo(2);
    assertThat(store.reads).hasValue(3);
    cache.get(one).close();
    assertThat(store.reads).hasValue(3);
    cache.get(two).close();
    assertThat(store.reads).hasValue(4);
  }

  @Test
  void aUseOutlivesTheEvictionOfItsEntry() {
    try (SecretValue used = cache.get(one);
        SecretValue same = value("0123456789abcdef-one")) {
      cache.forget(one);
      assertThat(cache.size()).isZero();
      assertThat(used.sameAs(same)).isTrue();
    }
  }

  @Test
  void withoutATimeToLiveNothingIsKept() {
    try (ValueCache none = new ValueCache(store, clock, Duration.ZERO, 2)) {
      none.get(one).close();
      assertThat(none.size()).isZero();
    }
  }
}
