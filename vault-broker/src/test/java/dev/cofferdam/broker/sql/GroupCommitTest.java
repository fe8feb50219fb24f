package dev.cofferdam.broker.sql;

import static dev.cofferdam.broker.Refused.assertRefused;
import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.broker.TestBroker;
import dev.cofferdam.testkit.TestPostgres;
import dev.cofferdam.v1.ErrorReason;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;

/** What becomes of a batch of which a part, or whose database, fails. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@SuppressWarnings("NullAway.Init") // JUnit fills the fields
class GroupCommitTest {
  private static final int WAITING = 20;

  private TestPostgres postgres;
  private Database database;
  private ExecutorService callers;
  private CountDownLatch first;
  private CountDownLatch go;
  private final ConcurrentLinkedQueue<List<String>> runs = new ConcurrentLinkedQueue<>();

  @BeforeAll
  void start() {
    postgres = TestPostgres.start();
    TestPostgres.Database empty = postgres.createDatabase();
    database =
        Database.open(empty.url(), empty.user(), empty.password(), 2, new SimpleMeterRegistry());
  }

  @AfterAll
  void stop() {
    database.close();
    postgres.close();
  }

  @BeforeEach
  void begin() {
    callers = Executors.newVirtualThreadPerTaskExecutor();
    first = new CountDownLatch(1);
    go = new CountDownLatch(1);
    runs.clear();
  }

  @AfterEach
  void end() {
    callers.close();
  }

  /** What a batch does; {@code "first"} holds the writer up until the others are queued. */
  private GroupCommit<String, String> commits(GroupCommit.Batch<String, String> batch) {
    return new GroupCommit<>(
        "test",
        database,
        (tx, requests) -> {
          if (requests.contains("first")) {
            first.countDown();
            await(go);
            return requests;
          }
          runs.add(requests);
          return batch.run(tx, requests);
        });
  }

  private static void await(CountDownLatch latch) {
    try {
      assertThat(latch.await(TestBroker.PATIENCE_S, TimeUnit.SECONDS)).isTrue();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  /** All of the names at once, behind one that is under way. */
  private List<Future<String>> together(
      GroupCommit<String, String> commits, List<String> names, AtomicBoolean ended) {
    List<Future<String>> answers = new ArrayList<>();
    answers.add(callers.submit(() -> commits.submit("first", () -> false)));
    await(first);
    for (String name : names) {
      answers.add(
          callers.submit(
              () -> commits.submit(name, name.equals("ended") ? ended::get : () -> false)));
    }
    while (commits.waiting() < names.size()) {
      LockSupport.parkNanos(1_000_000);
    }
    go.countDown();
    return answers.subList(1, answers.size());
  }

  private static List<String> names(String... others) {
    List<String> names = new ArrayList<>(List.of(others));
    for (int i = names.size(); i < WAITING; i++) {
      names.add("good-" + i);
    }
    return names;
  }

  private static void assertUnavailable(Future<String> answer) {
    assertRefused(
        () -> {
          try {
            answer.get();
          } catch (ExecutionException e) {
            throw e.getCause();
          }
        },
        ErrorReason.ERROR_REASON_DATABASE_UNAVAILABLE);
  }

  @Test
  void whatOneRequestCausesIsItsOwn() throws Exception {
    try (GroupCommit<String, String> commits =
        commits((tx, requests) -> {
          if (requests.contains("bad")) {
            throw new SQLException("a constraint", "23514");
          }
          return requests;
        })) {
      List<String> names = names("bad");
      List<Future<String>> answers = together(commits, names, new AtomicBoolean());
      assertUnavailable(answers.getFirst());
      for (int i = 1; i < names.size(); i++) {
        assertThat(answers.get(i).get()).isEqualTo(names.get(i));
      }
    }
  }

  @Test
  void aDatabaseThatIsAwayFailsTheBatchAtOnce() {
    try (GroupCommit<String, String> commits =
        commits((tx, requests) -> {
          throw new SQLException("the connection is lost", "08006");
        })) {
      together(commits, names(), new AtomicBoolean()).forEach(GroupCommitTest::assertUnavailable);
      assertThat(runs).hasSize(1);
    }
  }

  @Test
  void aDatabaseThatGoesAwayDuringTheSplitFailsTheRest() {
    try (GroupCommit<String, String> commits =
        commits((tx, requests) -> {
          throw requests.size() > 1
              ? new SQLException("no such text", "22021")
              : new SQLException("the server stops", "57P01");
        })) {
      together(commits, names(), new AtomicBoolean()).forEach(GroupCommitTest::assertUnavailable);
      assertThat(runs).hasSize(2);
    }
  }

  @Test
  void aCallThatHasEndedIsLeftOut() throws Exception {
    try (GroupCommit<String, String> commits = commits((tx, requests) -> requests)) {
      List<Future<String>> answers =
          together(commits, List.of("ended", "good"), new AtomicBoolean(true));
      assertThat(answers.get(1).get()).isEqualTo("good");
      assertThat(runs).containsExactly(List.of("good"));
      assertThat(answers.getFirst())
          .failsWithin(java.time.Duration.ofSeconds(TestBroker.PATIENCE_S))
          .withThrowableOfType(ExecutionException.class)
          .withMessageContaining("had ended");
    }
  }
}
