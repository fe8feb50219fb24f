package dev.cofferdam.scheduler.lifecycle;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class BacklogTest {
  private static final long PATIENCE_S = 30;

  private final List<String> done = new CopyOnWriteArrayList<>();

  @Test
  void whatWaitsIsNotAddedAgainAndWhatRunsIs() throws Exception {
    CountDownLatch running = new CountDownLatch(1);
    CountDownLatch go = new CountDownLatch(1);
    CountDownLatch last = new CountDownLatch(3);
    try (Backlog backlog = new Backlog(1)) {
      backlog.add(
          "a",
          () -> {
            running.countDown();
            await(go);
            done.add("a");
            last.countDown();
          });
      await(running);
      for (String sandbox : List.of("b", "b", "a", "b", "a")) {
        backlog.add(
            sandbox,
            () -> {
              done.add(sandbox);
              last.countDown();
            });
      }
      go.countDown();
      await(last);
    }
    assertThat(done).containsExactlyInAnyOrder("a", "a", "b");
  }

  @Test
  void whatIsLookedAfterAgainAnyhowIsNotAddedWhileItRuns() throws Exception {
    CountDownLatch running = new CountDownLatch(1);
    CountDownLatch go = new CountDownLatch(1);
    try (Backlog backlog = new Backlog(2)) {
      backlog.addUnlessBusy(
          "a",
          () -> {
            done.add("a");
            running.countDown();
            await(go);
          });
      await(running);
      backlog.addUnlessBusy("a", () -> done.add("a again"));
      CountDownLatch other = new CountDownLatch(1);
      backlog.addUnlessBusy("b", other::countDown);
      await(other);
      go.countDown();
    }
    assertThat(done).containsExactly("a");
  }

  @Test
  void workThatFailsMakesRoomForTheNext() throws Exception {
    CountDownLatch last = new CountDownLatch(1);
    try (Backlog backlog = new Backlog(1)) {
      backlog.add(
          "a",
          () -> {
            throw new IllegalStateException("on purpose");
          });
      backlog.add("b", last::countDown);
      await(last);
    }
  }

  private static void await(CountDownLatch latch) {
    try {
      assertThat(latch.await(PATIENCE_S, TimeUnit.SECONDS)).isTrue();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }
}
