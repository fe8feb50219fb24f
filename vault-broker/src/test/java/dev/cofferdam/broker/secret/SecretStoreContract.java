package dev.cofferdam.broker.secret;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.Random;
import java.util.UUID;
import org.junit.jupiter.api.Test;

/** What every store has to do. A subclass says which one. */
public abstract class SecretStoreContract {
  protected abstract SecretStore store();

  /** A value with these bytes. */
  public static SecretValue value(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    SecretValue value = SecretValue.ofLength(bytes.length);
    for (int i = 0; i < bytes.length; i++) {
      value.segment().set(ValueLayout.JAVA_BYTE, i, bytes[i]);
    }
    return value;
  }

  protected static SecretKey key(String tenant, String name, long version) {
    return new SecretKey(tenant, name, UUID.randomUUID(), version);
  }

  @Test
  void whatWasPutIsGot() {
    SecretKey key = key("acme", "api-key", 1);
    try (SecretValue put = value("sk-0123456789abcdef")) {
      store().put(key, put);
      try (SecretValue got = store().get(key)) {
        assertThat(got.sameAs(put)).isTrue();
      }
    }
  }

  @Test
  void everyByteAndEveryLengthComesBack() {
    for (int length : new int[] {1, 15, 16, 17, 255, 4096, SecretValue.MAX_LENGTH}) {
      SecretKey key = key("acme", "binary", length);
      try (SecretValue put = SecretValue.ofLength(length)) {
        Random bytes = new Random(length);
        for (int i = 0; i < length; i++) {
          put.segment().set(ValueLayout.JAVA_BYTE, i, (byte) bytes.nextInt(256));
        }
        store().put(key, put);
        try (SecretValue got = store().get(key)) {
          assertThat(got.sameAs(put)).as("%d bytes", length).isTrue();
        }
      }
    }
  }

  @Test
  void writesAreApartByTenantNameAndVersion() {
    SecretKey mine = key("acme", "api-key", 1);
    SecretKey next = key("acme", "api-key", 2);
    SecretKey theirs = key("umbrella", "api-key", 1);
    try (SecretValue one = value("first-0123456789");
        SecretValue two = value("second-0123456789");
        SecretValue three = value("third-0123456789")) {
      store().put(mine, one);
      store().put(next, two);
      store().put(theirs, three);
      try (SecretValue gotMine = store().get(mine);
          SecretValue gotNext = store().get(next);
          SecretValue gotTheirs = store().get(theirs)) {
        assertThat(gotMine.sameAs(one)).isTrue();
        assertThat(gotNext.sameAs(two)).isTrue();
        assertThat(gotTheirs.sameAs(three)).isTrue();
      }
    }
  }

  @Test
  void anAttemptThatEndedWithoutAnAnswerIsRepeated() {
    SecretKey key = key("acme", "api-key", 1);
    try (SecretValue value = value("again-0123456789")) {
      store().put(key, value);
      store().put(key, value);
      try (SecretValue got = store().get(key)) {
        assertThat(got.sameAs(value)).isTrue();
      }
    }
  }

  @Test
  void whatIsDeletedIsGoneAndTheOtherVersionStays() {
    SecretKey old = key("acme", "api-key", 1);
    SecretKey young = key("acme", "api-key", 2);
    try (SecretValue value = value("deleted-0123456789")) {
      store().put(old, value);
      store().put(young, value);
      store().delete(old);
      assertThatThrownBy(() -> store().get(old)).isInstanceOf(StoreUnavailableException.class);
      store().get(young).close();
    }
  }

  @Test
  void deletingWhatIsNotThereSucceeds() {
    store().delete(key("acme", "never-was", 1));
  }

  @Test
  void whatIsMissingIsTheStoresFailureAndItsExceptionTellsNothing() {
    assertThatThrownBy(() -> store().get(key("acme", "missing", 7)))
        .isInstanceOf(StoreUnavailableException.class)
        .hasNoCause();
  }
}
