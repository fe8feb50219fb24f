package dev.cofferdam.broker.secret;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;

/** A store for tests that can go away. */
public final class MemoryStore implements SecretStore, AutoCloseable {
  public volatile boolean away;
  public final AtomicInteger reads = new AtomicInteger();
  private final Map<SecretKey, SecretValue> values = new ConcurrentHashMap<>();

  @Override
  public void put(SecretKey key, SecretValue value) {
    check();
    SecretValue before = values.put(key, value.another());
    if (before != null) {
      before.close();
    }
  }

  @Override
  public SecretValue get(SecretKey key) {
    check();
    reads.incrementAndGet();
    SecretValue value = values.get(key);
    if (value == null) {
      throw new StoreUnavailableException("no value for " + key);
    }
    return value.another();
  }

  @Override
  public void delete(SecretKey key) {
    check();
    SecretValue before = values.remove(key);
    if (before != null) {
      before.close();
    }
  }

  public boolean holds(SecretKey key) {
    return values.containsKey(key);
  }

  private void check() {
    if (away) {
      throw new StoreUnavailableException("away");
    }
  }

  @Override
  public void close() {
    values.values().forEach(SecretValue::close);
    values.clear();
  }
}
