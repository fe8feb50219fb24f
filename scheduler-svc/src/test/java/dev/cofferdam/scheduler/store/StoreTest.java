package dev.cofferdam.scheduler.store;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.scheduler.sandbox.EndCause;
import dev.cofferdam.scheduler.sandbox.EventDraft;
import dev.cofferdam.scheduler.sandbox.Isolation;
import dev.cofferdam.scheduler.sandbox.Samples;
import dev.cofferdam.scheduler.sandbox.Sandbox;
import dev.cofferdam.scheduler.sandbox.Transition;
import dev.cofferdam.scheduler.store.SandboxStore.CreateOutcome;
import dev.cofferdam.scheduler.store.SandboxStore.Position;
import dev.cofferdam.scheduler.store.SandboxStore.RequestKey;
import dev.cofferdam.testkit.TestPostgres;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressRule;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Against a real PostgreSQL. */
class StoreTest {
  private static final int MANY = 1000;
  private static TestPostgres postgres;

  @TempDir private Path directory;
  private Database database;
  private EventStore events;
  private SandboxStore store;

  @BeforeAll
  static void startDatabase() {
    postgres = TestPostgres.start();
  }

  @AfterAll
  static void stopDatabase() {
    postgres.close();
  }

  @BeforeEach
  void open() throws Exception {
    TestPostgres.Database own = postgres.createDatabase();
    Path password = Files.writeString(directory.resolve("password"), own.password());
    database =
        Database.open(
            new DatabaseConfig(own.url(), own.user(), password, 8), new SimpleMeterRegistry());
    events = new EventStore(database);
    store = new SandboxStore(database, events);
  }

  @AfterEach
  void close() {
    database.close();
  }

  @Test
  void everyStateIsReadAsItWasWritten() {
    Sandbox starting = create(1);
    assertThat(store.find(starting.id())).contains(starting);
    Transition started = starting.started(Isolation.HARDWARE, 4, Samples.NOW);
    Transition extended =
        started.after().extended(Optional.of(Samples.NOW.plusSeconds(9)), Samples.NOW);
    EgressPolicy policy =
        EgressPolicy.newBuilder().addRules(EgressRule.newBuilder().setHost("a.example")).build();
    Transition widened = extended.after().policyUpdated(policy, 5, Samples.NOW);
    Transition stopping = widened.after().stopping(EndCause.LOST, "gone");
    Transition ended = stopping.after().ended(Samples.NOW);
    for (Transition transition : List.of(started, extended, widened, stopping, ended)) {
      assertThat(store.apply(transition)).isTrue();
      assertThat(store.find(starting.id())).contains(transition.after());
    }
    assertThat(events.after("acme", starting.id(), 0, MANY))
        .extracting(event -> event.draft().kind())
        .containsExactly(
            EventDraft.Kind.CREATED,
            EventDraft.Kind.RUNNING,
            EventDraft.Kind.EXTENDED,
            EventDraft.Kind.POLICY_UPDATED,
            EventDraft.Kind.ENDED);
  }

  @Test
  void ofTwoChangesOfOneVersionOneWinsAndTheOtherLeavesNoTrace() throws Exception {
    Sandbox starting = create(1);
    List<Boolean> stored =
        together(
            List.of(
                () -> store.apply(starting.started(Isolation.EMULATED, 1, Samples.NOW)),
                () -> store.apply(starting.stopping(EndCause.DELETED, "deleted"))));
    assertThat(stored).containsExactlyInAnyOrder(true, false);
    assertThat(store.find(starting.id()).orElseThrow().version()).isEqualTo(2);
    assertThat(events.after("acme", "", 0, MANY)).hasSize(stored.getFirst() ? 2 : 1);
  }

  @Test
  void aQuotaHoldsAgainstConcurrentCreates() throws Exception {
    List<Callable<CreateOutcome>> creates = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      Sandbox sandbox = Samples.starting(i, "acme", "n1");
      creates.add(() -> store.create(sandbox, Optional.empty(), 3));
    }
    assertThat(together(creates)).filteredOn(CreateOutcome.Created.class::isInstance).hasSize(3);
    assertThat(store.live()).hasSize(3);
    assertThat(store.create(Samples.starting(20, "other", "n1"), Optional.empty(), 3))
        .isInstanceOf(CreateOutcome.Created.class);
  }

  @Test
  void aRequestIdIsOneCreatesAloneForADay() throws Exception {
    RequestKey key = new RequestKey("r", Fingerprint.ofContent(new byte[] {1}));
    List<Callable<CreateOutcome>> creates = new ArrayList<>();
    for (int i = 0; i < 6; i++) {
      Sandbox sandbox = Samples.starting(i, "acme", "n1");
      creates.add(() -> store.create(sandbox, Optional.of(key), MANY));
    }
    List<CreateOutcome> outcomes = together(creates);
    Sandbox winner = store.live().getFirst();
    assertThat(outcomes).filteredOn(CreateOutcome.Created.class::isInstance).hasSize(1);
    assertThat(outcomes)
        .filteredOn(CreateOutcome.Duplicate.class::isInstance)
        .hasSize(5)
        .allMatch(
            outcome -> ((CreateOutcome.Duplicate) outcome).known().sandbox().equals(winner.id()));
    assertThat(store.findRequest("other", "r", Samples.NOW)).isEmpty();
    assertThat(store.findRequest("acme", "r", Samples.NOW.plus(Duration.ofHours(23)))).isPresent();
    assertThat(store.findRequest("acme", "r", Samples.NOW.plus(Duration.ofHours(25)))).isEmpty();
    assertThat(store.apply(winner.stopping(EndCause.START_FAILED, "no"))).isTrue();
    assertThat(store.findRequest("acme", "r", Samples.NOW)).isEmpty();
  }

  @Test
  void aCreateOverQuotaDoesNotTakeItsRequestId() {
    RequestKey key = new RequestKey("r", Fingerprint.ofContent(new byte[] {1}));
    create(1);
    assertThat(store.create(Samples.starting(2, "acme", "n1"), Optional.of(key), 1))
        .isEqualTo(new CreateOutcome.OverQuota(1));
    assertThat(store.findRequest("acme", "r", Samples.NOW)).isEmpty();
  }

  @Test
  void pagesCoverEverythingOnce() {
    List<String> all = new ArrayList<>();
    IntStream.range(0, 7).forEach(i -> all.addFirst(create(i).id()));
    List<String> seen = new ArrayList<>();
    Optional<Position> after = Optional.empty();
    for (List<Sandbox> page = page(after); !page.isEmpty(); page = page(after)) {
      page.forEach(sandbox -> seen.add(sandbox.id()));
      after = Optional.of(new Position(page.getLast().createTime(), page.getLast().id()));
    }
    assertThat(seen).isEqualTo(all);
    assertThat(store.page("acme", Map.of("team", "red"), true, Optional.empty(), 10)).isEmpty();
    assertThat(store.page("other", Map.of(), true, Optional.empty(), 10)).isEmpty();
  }

  /** Numbers are drawn before a commit; without the tenant's lock this loses some. */
  @Test
  void aWatcherNeverSkipsAnEventHoweverCommitsInterleave() throws Exception {
    int writers = 6;
    int each = 25;
    List<Callable<Integer>> work = new ArrayList<>();
    for (int writer = 0; writer < writers; writer++) {
      int base = writer * each;
      work.add(() -> {
        for (int i = 0; i < each; i++) {
          create(base + i);
        }
        return each;
      });
    }
    CompletableFuture<Boolean> done = new CompletableFuture<>();
    CompletableFuture<List<Long>> watcher =
        CompletableFuture.supplyAsync(
            () -> {
              List<Long> seen = new ArrayList<>();
              while (seen.size() < writers * each) {
                boolean last = done.isDone();
                long cursor = seen.isEmpty() ? 0 : seen.getLast();
                List<SandboxEvent> batch = events.after("acme", "", cursor, 3);
                batch.forEach(event -> seen.add(event.cursor()));
                if (last && batch.isEmpty()) {
                  return seen;
                }
              }
              return seen;
            },
            Thread::startVirtualThread);
    var _ = together(work);
    done.complete(true);
    List<Long> all = events.after("acme", "", 0, MANY).stream().map(SandboxEvent::cursor).toList();
    assertThat(all).hasSize(writers * each);
    assertThat(watcher.get()).isEqualTo(all);
    assertThat(events.last()).isEqualTo(all.getLast());
  }

  @Test
  void whatIsOldIsForgotten() {
    Sandbox sandbox = create(1);
    assertThat(store.apply(sandbox.stopping(EndCause.DELETED, ""))).isTrue();
    Sandbox stopping = store.find(sandbox.id()).orElseThrow();
    assertThat(store.apply(stopping.ended(Samples.NOW))).isTrue();
    Sandbox live = create(2);
    store.prune(Samples.NOW, Samples.NOW);
    assertThat(store.find(sandbox.id())).isPresent();
    store.prune(Samples.NOW.plusSeconds(1), Samples.NOW);
    assertThat(store.find(sandbox.id())).isEmpty();
    assertThat(store.find(live.id())).isPresent();
    assertThat(events.prune(Samples.NOW.plusSeconds(1))).isEqualTo(3);
    assertThat(events.last()).isPositive();
  }

  private List<Sandbox> page(Optional<Position> after) {
    return store.page("acme", Map.of("team", "blue"), false, after, 3);
  }

  private Sandbox create(int number) {
    Sandbox sandbox = Samples.starting(number, "acme", "n1");
    assertThat(store.create(sandbox, Optional.empty(), MANY))
        .isInstanceOf(CreateOutcome.Created.class);
    return sandbox;
  }

  private static <T> List<T> together(List<Callable<T>> work) throws Exception {
    CyclicBarrier start = new CyclicBarrier(work.size());
    try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<T>> running =
          work.stream()
              .map(each ->
                  threads.submit(() -> {
                    start.await();
                    return each.call();
                  }))
              .toList();
      List<T> results = new ArrayList<>();
      for (Future<T> each : running) {
        results.add(each.get());
      }
      return results;
    }
  }
}
