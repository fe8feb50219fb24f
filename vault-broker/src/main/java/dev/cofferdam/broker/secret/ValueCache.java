package dev.cofferdam.broker.secret;

import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Values read lately, so that a use costs no round trip to the store. An entry lives for the time
 * to live from its reading on, not from its last use; then {@link #evictExpired()} zeroes it, as
 * does the eviction of the least recently used when there are too many.
 *
 * <p>Whether a version may still be used is decided in the database before this is asked: the cache
 * delays no revocation and no rotation. What it zeroes while a use is under way is zeroed with the
 * end of that. Safe for use by several threads; a slow store holds up nobody else.
 */
public final class ValueCache implements AutoCloseable {
  private final SecretStore store;
  private final InstantSource clock;
  private final Duration timeToLive;
  private final int capacity;
  private final ReentrantLock lock = new ReentrantLock();
  private final LinkedHashMap<SecretKey, Entry> entries = new LinkedHashMap<>(16, 0.75f, true);
  private boolean closed;

  private record Entry(SecretValue value, Instant expires) {}

  /**
   * @param timeToLive zero: nothing is kept
   * @param capacity how many values at most, at least 1
   */
  public ValueCache(SecretStore store, InstantSource clock, Duration timeToLive, int capacity) {
    if (timeToLive.isNegative()) {
      throw new IllegalArgumentException("time to live is " + timeToLive + ", expected 0 or more");
    }
    if (capacity < 1) {
      throw new IllegalArgumentException("capacity is " + capacity + ", expected at least 1");
    }
    this.store = store;
    this.clock = clock;
    this.timeToLive = timeToLive;
    this.capacity = capacity;
  }

  /**
   * For one use: the caller closes it, and changes nothing in it.
   *
   * @throws StoreUnavailableException as {@link SecretStore#get}
   */
  public SecretValue get(SecretKey key) {
    lock.lock();
    try {
      Entry cached = entries.get(key);
      if (cached != null && clock.instant().isBefore(cached.expires())) {
        return cached.value().another();
      }
    } finally {
      lock.unlock();
    }
    // Counted from before the reading, so that the stated time is never exceeded.
    Instant expires = clock.instant().plus(timeToLive);
    SecretValue value = store.get(key);
    try {
      keep(key, value, expires);
    } catch (RuntimeException e) {
      value.close();
      throw e;
    }
    return value;
  }

  /** Zeroes one at once. */
  public void forget(SecretKey key) {
    lock.lock();
    try {
      Entry removed = entries.remove(key);
      if (removed != null) {
        removed.value().close();
      }
    } finally {
      lock.unlock();
    }
  }

  /** Zeroes what is past its time. To be called at least once in a time to live. */
  public void evictExpired() {
    Instant now = clock.instant();
    lock.lock();
    try {
      entries
          .values()
          .removeIf(entry -> {
            boolean expired = !now.isBefore(entry.expires());
            if (expired) {
              entry.value().close();
            }
            return expired;
          });
    } finally {
      lock.unlock();
    }
  }

  public int size() {
    lock.lock();
    try {
      return entries.size();
    } finally {
      lock.unlock();
    }
  }

  /** Zeroes everything; a value read after this is not kept. */
  @Override
  public void close() {
    lock.lock();
    try {
      closed = true;
      entries.values().forEach(entry -> entry.value().close());
      entries.clear();
    } finally {
      lock.unlock();
    }
  }

  private void keep(SecretKey key, SecretValue value, Instant expires) {
    if (timeToLive.isZero()) {
      return;
    }
    lock.lock();
    try {
      if (closed) {
        return;
      }
      Entry before = entries.put(key, new Entry(value.another(), expires));
      if (before != null) {
        before.value().close();
      }
      if (entries.size() > capacity) {
        Map.Entry<SecretKey, Entry> eldest = entries.firstEntry();
        entries.remove(eldest.getKey());
        eldest.getValue().value().close();
      }
    } finally {
      lock.unlock();
    }
  }
}
