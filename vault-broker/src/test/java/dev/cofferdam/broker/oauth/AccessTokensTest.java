package dev.cofferdam.broker.oauth;

import static dev.cofferdam.broker.secret.SecretStoreContract.value;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.broker.policy.OAuth;
import dev.cofferdam.broker.secret.MemoryStore;
import dev.cofferdam.broker.secret.SecretKey;
import dev.cofferdam.broker.secret.SecretValue;
import dev.cofferdam.broker.secret.StoreUnavailableException;
import dev.cofferdam.broker.secret.ValueCache;
import dev.cofferdam.testkit.SettableClock;
import dev.cofferdam.v1.ClientCredentials;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class AccessTokensTest {
  private static final Duration PATIENCE = Duration.ofSeconds(30);
  private static final OAuth CLIENT =
      new OAuth(
          ClientCredentials.newBuilder()
              .setTokenUrl("https://login.example.com/token")
              .setClientId("client")
              .build());

  private final SettableClock clock = SettableClock.fixed();
  private final MemoryStore store = new MemoryStore();
  private final ValueCache values = new ValueCache(store, clock, Duration.ZERO, 1);
  private final FakeEndpoint endpoint = new FakeEndpoint();
  private final AtomicInteger recorded = new AtomicInteger();
  private AccessTokens tokens = tokens(Duration.ofHours(1), 8);

  private AccessTokens tokens(Duration timeToLive, int capacity) {
    return new AccessTokens(
        endpoint, values, clock, timeToLive, PATIENCE, capacity, new SimpleMeterRegistry());
  }

  @AfterEach
  void stop() {
    tokens.close();
    values.close();
    store.close();
    // Whatever was given, it is zeroed once nobody needs it any more.
    for (SecretValue given : endpoint.given) {
      assertThat(given.segment().scope().isAlive()).isFalse();
    }
  }

  /** Gives tokens that tell their number. */
  private static final class FakeEndpoint implements TokenEndpoint {
    final List<SecretValue> given = new CopyOnWriteArrayList<>();
    final CountDownLatch asked = new CountDownLatch(1);
    volatile CountDownLatch gate = new CountDownLatch(0);
    volatile Duration lifetime = Duration.ofHours(1);
    volatile Supplier<RuntimeException> failing = () -> null;
    final AtomicInteger connections = new AtomicInteger();

    @Override
    public Connection connect(OAuth client, Duration within) {
      connections.incrementAndGet();
      asked.countDown();
      await(gate);
      RuntimeException failure = failing.get();
      if (failure != null) {
        throw failure;
      }
      return new Connection() {
        @Override
        public AccessToken ask(SecretValue secret) {
          assertThat(secret.length()).isEqualTo("a-clients-secret".length());
          SecretValue token = value("token-number-%05d".formatted(given.size() + 1));
          given.add(token);
          return new AccessToken(token, lifetime);
        }

        @Override
        public void close() {}
      };
    }
  }

  private static void await(CountDownLatch latch) {
    try {
      assertThat(latch.await(PATIENCE.toSeconds(), TimeUnit.SECONDS)).isTrue();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private SecretKey key(String tenant) {
    SecretKey key = new SecretKey(tenant, "client", UUID.randomUUID(), 1);
    try (SecretValue secret = value("a-clients-secret")) {
      store.put(key, secret);
    }
    return key;
  }

  private String get(SecretKey key) throws InterruptedException {
    return get(key, PATIENCE);
  }

  private String get(SecretKey key, Duration wait) throws InterruptedException {
    try (SecretValue token =
        tokens.get(key, CLIENT, System.nanoTime() + wait.toNanos(), recorded::incrementAndGet)) {
      StringBuilder text = new StringBuilder();
      for (int i = 0; i < token.length(); i++) {
        text.append((char) token.at(i));
      }
      return text.toString();
    }
  }

  private void awaitSize(int size) {
    long end = System.nanoTime() + PATIENCE.toNanos();
    while (tokens.size() != size && System.nanoTime() < end) {
      Thread.onSpinWait();
    }
    assertThat(tokens.size()).isEqualTo(size);
  }

  @Test
  void aTokenIsFetchedOnceAndKeptUntilShortlyBeforeItsEnd() throws Exception {
    SecretKey key = key("acme");
    assertThat(tokens.has(key, false)).isFalse();
    assertThat(get(key)).isEqualTo("token-number-00001");
    assertThat(tokens.has(key, false)).isTrue();
    clock.advance(Duration.ofMinutes(59).plusSeconds(29));
    assertThat(get(key)).isEqualTo("token-number-00001");
    assertThat(recorded).hasValue(1);
    clock.advance(Duration.ofSeconds(1));
    assertThat(tokens.has(key, false)).isFalse();
    assertThat(get(key)).isEqualTo("token-number-00002");
    assertThat(recorded).hasValue(2);
  }

  @Test
  void ofAShortLifeTheLastTenthIsNotUsed() throws Exception {
    endpoint.lifetime = Duration.ofSeconds(100);
    SecretKey key = key("acme");
    var _ = get(key);
    clock.advance(Duration.ofSeconds(89));
    assertThat(get(key)).isEqualTo("token-number-00001");
    clock.advance(Duration.ofSeconds(1));
    assertThat(get(key)).isEqualTo("token-number-00002");
  }

  @Test
  void whatTheOperatorAllowsIsTheMost() throws Exception {
    tokens.close();
    tokens = tokens(Duration.ofSeconds(60), 8);
    SecretKey key = key("acme");
    var _ = get(key);
    clock.advance(Duration.ofSeconds(60));
    tokens.evictExpired();
    assertThat(tokens.size()).isZero();
    tokens.close();
    tokens = tokens(Duration.ZERO, 8);
    var _ = get(key);
    assertThat(tokens.size()).isZero();
  }

  @Test
  void fiftyAtATimeAreOneFetchEvenWhereNothingIsKept() throws Exception {
    endpoint.lifetime = Duration.ZERO;
    endpoint.gate = new CountDownLatch(1);
    SecretKey key = key("acme");
    List<String> got = new CopyOnWriteArrayList<>();
    List<Thread> users = new ArrayList<>();
    for (int i = 0; i < 50; i++) {
      users.add(
          Thread.ofPlatform()
              .start(() -> {
                try {
                  got.add(get(key));
                } catch (InterruptedException e) {
                  Thread.currentThread().interrupt();
                }
              }));
    }
    long end = System.nanoTime() + PATIENCE.toNanos();
    while (System.nanoTime() < end
        && users.stream().anyMatch(user -> user.getState() != Thread.State.TIMED_WAITING)) {
      Thread.onSpinWait();
    }
    endpoint.gate.countDown();
    for (Thread user : users) {
      user.join(PATIENCE);
    }
    assertThat(got).hasSize(50).containsOnly("token-number-00001");
    assertThat(endpoint.connections).hasValue(1);
    assertThat(recorded).hasValue(1);
  }

  @Test
  void whoWaitsTooLongIsToldAndTheNextOneHasIt() throws Exception {
    endpoint.gate = new CountDownLatch(1);
    SecretKey key = key("acme");
    assertThatThrownBy(() -> get(key, Duration.ZERO))
        .isInstanceOf(TokenException.class)
        .hasMessageContaining("not answered yet");
    endpoint.gate.countDown();
    awaitSize(1);
    assertThat(get(key)).isEqualTo("token-number-00001");
  }

  @Test
  void aFailureIsTheAnswerForAMomentAndOnlyOfItsKind() throws Exception {
    SecretKey key = key("acme");
    endpoint.failing = () -> TokenException.refused("status 401, invalid_client");
    for (int i = 0; i < 3; i++) {
      assertThatThrownBy(() -> get(key))
          .isInstanceOfSatisfying(TokenException.class, e -> assertThat(e.refused()).isTrue())
          .hasMessage("status 401, invalid_client");
    }
    assertThat(endpoint.connections).hasValue(1);
    endpoint.failing = () -> null;
    clock.advance(AccessTokens.AFTER_FAILURE);
    assertThat(get(key)).isEqualTo("token-number-00001");

    SecretKey other = key("acme");
    store.away = true;
    assertThatThrownBy(() -> get(other)).isInstanceOf(StoreUnavailableException.class);
    store.away = false;
    assertThat(get(other)).isEqualTo("token-number-00002");
  }

  @Test
  void withoutItsRecordNoSecretIsSent() {
    SecretKey key = key("acme");
    assertThatThrownBy(() ->
            tokens.get(
                key,
                CLIENT,
                System.nanoTime() + PATIENCE.toNanos(),
                () -> {
                  throw new IllegalStateException("no database");
                }))
        .hasMessage("no database");
    assertThat(endpoint.given).isEmpty();
    assertThat(store.reads).hasValue(0);
  }

  @Test
  void after401ATokenIsFetchedAnewUnlessItIsYoung() throws Exception {
    SecretKey key = key("acme");
    var _ = get(key);
    clock.advance(AccessTokens.YOUNG.minusMillis(1));
    assertThat(tokens.has(key, true)).isTrue();
    clock.advance(Duration.ofMillis(1));
    assertThat(tokens.has(key, true)).isFalse();
    assertThat(get(key)).isEqualTo("token-number-00002");
    assertThat(tokens.has(key, true)).isTrue();
  }

  @Test
  void whatIsForgottenWhileItIsFetchedServesThoseWhoWaitAndIsNotKept() throws Exception {
    endpoint.gate = new CountDownLatch(1);
    SecretKey key = key("acme");
    List<String> got = new CopyOnWriteArrayList<>();
    Thread user =
        Thread.ofPlatform()
            .start(() -> {
              try {
                got.add(get(key));
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
              }
            });
    await(endpoint.asked);
    tokens.forget(key);
    endpoint.gate.countDown();
    user.join(PATIENCE);
    assertThat(got).containsExactly("token-number-00001");
    assertThat(tokens.size()).isZero();
  }

  @Test
  void whatIsForgottenIsZeroedWhenItsLastUseEnds() throws Exception {
    SecretKey key = key("acme");
    SecretValue used = tokens.get(key, CLIENT, System.nanoTime() + PATIENCE.toNanos(), () -> {});
    assertThat(tokens.keys()).containsExactly(key);
    tokens.forget(key);
    assertThat(tokens.keys()).isEmpty();
    assertThat(endpoint.given.getFirst().segment().scope().isAlive()).isTrue();
    used.close();
    assertThat(endpoint.given.getFirst().segment().scope().isAlive()).isFalse();
  }

  @Test
  void noMoreAreKeptThanThereIsRoomFor() throws Exception {
    tokens.close();
    tokens = tokens(Duration.ofHours(1), 2);
    SecretKey first = key("acme");
    var _ = get(first);
    for (int i = 0; i < 3; i++) {
      var _ = get(key("acme"));
      if (i == 0) {
        // Used lately.
        var _ = get(first);
      }
    }
    assertThat(tokens.size()).isEqualTo(2);
    assertThat(tokens.has(first, false)).isFalse();
  }

  @Test
  void aTenantsSlowEndpointsHoldUpNoOther() throws Exception {
    CountDownLatch gate = new CountDownLatch(1);
    endpoint.gate = gate;
    for (int i = 0; i < AccessTokens.FETCHES_PER_TENANT; i++) {
      SecretKey key = key("acme");
      assertThatThrownBy(() -> get(key, Duration.ZERO)).hasMessageContaining("not answered yet");
    }
    SecretKey more = key("acme");
    assertThatThrownBy(() -> get(more, Duration.ZERO)).hasMessageContaining("too many");
    // Those of acme are at the gate, which has closed behind them.
    long end = System.nanoTime() + PATIENCE.toNanos();
    while (endpoint.connections.get() < AccessTokens.FETCHES_PER_TENANT
        && System.nanoTime() < end) {
      Thread.onSpinWait();
    }
    endpoint.gate = new CountDownLatch(0);
    assertThat(get(key("other"))).isEqualTo("token-number-00001");
    gate.countDown();
    awaitSize(8);
  }
}
