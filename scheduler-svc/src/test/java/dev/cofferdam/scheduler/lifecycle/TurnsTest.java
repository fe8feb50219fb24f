package dev.cofferdam.scheduler.lifecycle;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class TurnsTest {
  private static final Duration PATIENCE = Duration.ofSeconds(30);

  private final Turns turns = new Turns();

  @Test
  void ofOneNameOneIsAtItOfOthersAsManyAsCome() throws Exception {
    CountDownLatch has = new CountDownLatch(1);
    CountDownLatch go = new CountDownLatch(1);
    List<String> done = new CopyOnWriteArrayList<>();
    Thread first =
        Thread.startVirtualThread(() ->
            take(
                "a",
                PATIENCE,
                () -> {
                  has.countDown();
                  await(go);
                  done.add("first");
                }));
    await(has);
    assertThat(take("a", Duration.ZERO, () -> done.add("never"))).isFalse();
    for (int i = 0; i < 1000; i++) {
      assertThat(take("b" + i, Duration.ZERO, () -> {})).isTrue();
    }
    Thread second = Thread.startVirtualThread(() -> take("a", PATIENCE, () -> done.add("second")));
    go.countDown();
    assertThat(first.join(PATIENCE) && second.join(PATIENCE)).isTrue();
    assertThat(done).containsExactly("first", "second");
  }

  @Test
  void aTurnThatFailedIsOver() {
    assertThat(
            org.assertj.core.api.Assertions.catchThrowable(() ->
                take(
                    "a",
                    Duration.ZERO,
                    () -> {
                      throw new IllegalStateException("on purpose");
                    })))
        .hasMessage("on purpose");
    assertThat(take("a", Duration.ZERO, () -> {})).isTrue();
  }

  private boolean take(String name, Duration limit, Runnable work) {
    try {
      return turns
          .take(
              name,
              limit,
              () -> {
                work.run();
                return name;
              })
          .isPresent();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  private static void await(CountDownLatch latch) {
    try {
      assertThat(latch.await(PATIENCE.toSeconds(), TimeUnit.SECONDS)).isTrue();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }
}
