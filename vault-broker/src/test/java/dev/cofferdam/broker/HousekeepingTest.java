package dev.cofferdam.broker;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.broker.Housekeeping.Task;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class HousekeepingTest {
  private static final Duration SOON = Duration.ofMillis(1);

  @Test
  void oneThatDoesNotReturnHoldsUpNoOther() throws Exception {
    CountDownLatch stuck = new CountDownLatch(1);
    CountDownLatch never = new CountDownLatch(1);
    CountDownLatch others = new CountDownLatch(3);
    Runnable blocks =
        () -> {
          stuck.countDown();
          await(never);
        };
    Runnable runs =
        () -> {
          await(stuck);
          others.countDown();
        };
    try (var _ =
        new Housekeeping(List.of(new Task("blocks", SOON, blocks), new Task("runs", SOON, runs)))) {
      assertThat(others.await(TestBroker.PATIENCE_S, TimeUnit.SECONDS)).isTrue();
    }
  }

  @Test
  void oneThatFailsIsTriedAgain() throws Exception {
    CountDownLatch tried = new CountDownLatch(3);
    Runnable fails =
        () -> {
          tried.countDown();
          throw new StackOverflowError();
        };
    try (var _ = new Housekeeping(List.of(new Task("fails", SOON, fails)))) {
      assertThat(tried.await(TestBroker.PATIENCE_S, TimeUnit.SECONDS)).isTrue();
    }
  }

  private static void await(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
