package dev.cofferdam.kit.reserve;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;

class ReservoirTest {
  private static final int SIZE = 4;

  private final AtomicInteger made = new AtomicInteger();
  private final List<Integer> discarded = Collections.synchronizedList(new ArrayList<>());

  private Reservoir<Integer> reservoir(Duration quiet) {
    return new Reservoir<>("made-ahead", SIZE, quiet, made::incrementAndGet, discarded::add);
  }

  private static void awaitFull(Reservoir<Integer> reservoir) {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    while (reservoir.available() < SIZE) {
      assertThat(System.nanoTime()).as("it never filled").isLessThan(end);
      LockSupport.parkNanos(1_000_000);
    }
  }

  @Test
  void itIsFilledAtOnceWhenItBegins() {
    try (Reservoir<Integer> reservoir = reservoir(Duration.ofDays(1))) {
      awaitFull(reservoir);
      assertThat(made).hasValue(SIZE);
    }
  }

  @Test
  void whileOthersAreTakenItIsFilledOnlyFromHalfEmptyOn() {
    try (Reservoir<Integer> reservoir = reservoir(Duration.ofDays(1))) {
      awaitFull(reservoir);
      assertThat(reservoir.take()).isEqualTo(1);
      assertThat(reservoir.available()).isEqualTo(SIZE - 1);
      assertThat(reservoir.take()).isEqualTo(2);
      long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
      // One: then it is more than half full again, and the next would have to wait.
      while (reservoir.available() < SIZE - 1) {
        assertThat(System.nanoTime()).as("it was never filled again").isLessThan(end);
        LockSupport.parkNanos(1_000_000);
      }
      assertThat(made).hasValue(SIZE + 1);
    }
  }

  @Test
  void onceNobodyTakesOneItIsFilledUp() {
    try (Reservoir<Integer> reservoir = reservoir(Duration.ofMillis(1))) {
      awaitFull(reservoir);
      assertThat(reservoir.take()).isEqualTo(1);
      awaitFull(reservoir);
      assertThat(made).hasValue(SIZE + 1);
    }
  }

  @Test
  void whoFindsNoneMakesOne() {
    Reservoir<Integer> reservoir = reservoir(Duration.ofDays(1));
    awaitFull(reservoir);
    reservoir.close();
    assertThat(reservoir.take()).isEqualTo(SIZE + 1);
  }

  @Test
  void afterItsEndNothingIsLeftAndNoThread() {
    Reservoir<Integer> reservoir = reservoir(Duration.ofDays(1));
    awaitFull(reservoir);
    assertThat(reservoir.take()).isEqualTo(1);
    reservoir.close();
    assertThat(reservoir.available()).isZero();
    assertThat(discarded).containsExactlyInAnyOrder(2, 3, 4);
    assertThat(Thread.getAllStackTraces().keySet())
        .noneMatch(thread -> thread.getName().equals("made-ahead"));
  }
}
