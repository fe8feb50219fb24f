package dev.cofferdam.broker.api;

import static dev.cofferdam.broker.Refused.assertRefused;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;

import dev.cofferdam.broker.TestBroker;
import dev.cofferdam.v1.ErrorReason;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;

class WatchesTest {
  @Test
  void aTenantHasSoManyAndNoOtherIsConcerned() {
    Watches watches = new Watches(2, 1);
    watches.open("acme");
    watches.open("acme");
    assertRefused(() -> watches.open("acme"), ErrorReason.ERROR_REASON_QUOTA_EXCEEDED);
    assertThatCode(() -> watches.open("other")).doesNotThrowAnyException();
    watches.close("acme");
    assertThatCode(() -> watches.open("acme")).doesNotThrowAnyException();
    assertRefused(() -> watches.open("acme"), ErrorReason.ERROR_REASON_QUOTA_EXCEEDED);
  }

  @Test
  void soManyReadAtOnceAndTheOthersWait() throws Exception {
    Watches watches = new Watches(1, 2);
    AtomicInteger reading = new AtomicInteger();
    CountDownLatch go = new CountDownLatch(1);
    try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
      for (int i = 0; i < 5; i++) {
        var _ = threads.submit(() -> watches.read(() -> read(reading, go)));
      }
      while (watches.waiting() < 3 && reading.get() <= 2) {
        LockSupport.parkNanos(1_000_000);
      }
      assertThat(reading.get()).isEqualTo(2);
      go.countDown();
    }
    assertThat(reading.get()).isEqualTo(5);
  }

  private static boolean read(AtomicInteger reading, CountDownLatch go) {
    reading.incrementAndGet();
    try {
      return go.await(TestBroker.PATIENCE_S, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }
}
