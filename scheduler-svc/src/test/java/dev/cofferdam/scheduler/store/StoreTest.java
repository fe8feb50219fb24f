package dev.cofferdam.scheduler.store;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.scheduler.sandbox.Activity;
import dev.cofferdam.scheduler.sandbox.EndCause;
import dev.cofferdam.scheduler.sandbox.EventDraft;
import dev.cofferdam.scheduler.sandbox.Isolation;
import dev.cofferdam.scheduler.sandbox.Lifetime;
import dev.cofferdam.scheduler.sandbox.Origin;
import dev.cofferdam.scheduler.sandbox.Samples;
import dev.cofferdam.scheduler.sandbox.Sandbox;
import dev.cofferdam.scheduler.sandbox.TimeoutAction;
import dev.cofferdam.scheduler.sandbox.Transition;
import dev.cofferdam.scheduler.store.RequestStore.RequestKey;
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
  private RequestStore requests;

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
    requests = new RequestStore(database);
  }

  @AfterEach
  void close() {
    database.close();
  }

  @Test
  void everyStateIsReadAsItWasWritten() {
    Sandbox starting = create(1);
    assertThat(store.find(starting.id())).contains(starting);
    Transition started = starting.started(Samples.started(Isolation.HARDWARE, 4), Samples.NOW);
    Transition extended =
        started.after().extended(Optional.of(Samples.NOW.plusSeconds(9)), Samples.NOW);
    EgressPolicy policy =
        EgressPolicy.newBuilder().addRules(EgressRule.newBuilder().setHost("a.example")).build();
    Transition widened = extended.after().policyUpdated(policy, 5, Samples.NOW);
    Transition paused = widened.after().observed(Activity.PAUSED, 7, Samples.NOW, "").orElseThrow();
    Transition suspended =
        paused.after().observed(Activity.SUSPENDED, 8, Samples.NOW, "idle").orElseThrow();
    Transition stopping = suspended.after().stopping(EndCause.LOST, "gone");
    Transition ended = stopping.after().ended(Samples.NOW);
    for (Transition transition :
        List.of(started, extended, widened, paused, suspended, stopping, ended)) {
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
            EventDraft.Kind.PAUSED,
            EventDraft.Kind.SUSPENDED,
            EventDraft.Kind.ENDED);
  }

  @Test
  void whatWasAskedForAtTheCreateIsKept() {
    Sandbox plain = Samples.starting(1, "acme", "n1");
    Sandbox copy =
        new Sandbox(
            plain.id(),
            plain.tenant(),
            plain.template(),
            plain.size(),
            plain.labels(),
            plain.createTime(),
            new Lifetime(
                Optional.of(Samples.NOW), TimeoutAction.NONE, Optional.of(Duration.ofMillis(1500))),
            Optional.of(new Origin(Samples.id(9), 3, Optional.of("sn-1"))),
            plain.node(),
            plain.epoch(),
            plain.version(),
            plain.policy(),
            plain.policyRevision(),
            plain.generation(),
            plain.secrets(),
            List.of(),
            plain.isolation(),
            plain.start(),
            plain.state());
    assertThat(store.create(List.of(copy), Optional.empty(), MANY))
        .isInstanceOf(CreateOutcome.Created.class);
    assertThat(store.find(copy.id())).contains(copy);
  }

  @Test
  void severalAreMadeAndChangedAllOrNone() {
    RequestKey key = new RequestKey("r", Fingerprint.ofContent(new byte[] {1}));
    Sandbox one = Samples.starting(1, "acme", "n1");
    Sandbox two = Samples.starting(2, "acme", "n1");
    assertThat(store.create(List.of(one, two), Optional.of(key), 1))
        .isEqualTo(new CreateOutcome.OverQuota(0));
    assertThat(store.live()).isEmpty();
    assertThat(store.create(List.of(one, two), Optional.of(key), 2))
        .isInstanceOf(CreateOutcome.Created.class);
    assertThat(requests.find("acme", "r", Samples.NOW).orElseThrow().made())
        .containsExactly(one.id(), two.id());
    Transition first = one.started(Samples.started(Isolation.EMULATED, 1), Samples.NOW);
    Transition second = two.started(Samples.started(Isolation.EMULATED, 1), Samples.NOW);
    assertThat(store.apply(two.stopping(EndCause.DELETED, "deleted"))).isTrue();
    assertThat(store.applyAll(List.of(first, second))).isFalse();
    assertThat(store.find(one.id())).contains(one);
    assertThat(events.after("acme", one.id(), 0, MANY)).hasSize(1);
    assertThat(requests.find("acme", "r", Samples.NOW)).as("one of it was given up").isEmpty();
  }

  @Test
  void whoeverSleepsCountsAndExpiresAsWhoeverRuns() {
    Sandbox starting = create(1);
    Transition started = starting.started(Samples.started(Isolation.EMULATED, 1), Samples.NOW);
    Transition due = started.after().extended(Optional.of(Samples.NOW), Samples.NOW);
    Transition asleep = due.after().observed(Activity.SUSPENDED, 1, Samples.NOW, "").orElseThrow();
    for (Transition transition : List.of(started, due, asleep)) {
      assertThat(store.apply(transition)).isTrue();
    }
    assertThat(store.due(Samples.NOW, 10)).containsExactly(asleep.after());
    assertThat(store.due(Samples.NOW.minusSeconds(1), 10)).isEmpty();
    assertThat(store.create(List.of(Samples.starting(2, "acme", "n1")), Optional.empty(), 1))
        .isEqualTo(new CreateOutcome.OverQuota(1));
  }

  @Test
  void ofTwoChangesOfOneVersionOneWinsAndTheOtherLeavesNoTrace() throws Exception {
    Sandbox starting = create(1);
    List<Boolean> stored =
        together(
            List.of(
                () ->
                    store.apply(
                        starting.started(Samples.started(Isolation.EMULATED, 1), Samples.NOW)),
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
      creates.add(() -> store.create(List.of(sandbox), Optional.empty(), 3));
    }
    assertThat(together(creates)).filteredOn(CreateOutcome.Created.class::isInstance).hasSize(3);
    assertThat(store.live()).hasSize(3);
    assertThat(store.create(List.of(Samples.starting(20, "other", "n1")), Optional.empty(), 3))
        .isInstanceOf(CreateOutcome.Created.class);
  }

  @Test
  void aRequestIdIsOneCreatesAloneForADay() throws Exception {
    RequestKey key = new RequestKey("r", Fingerprint.ofContent(new byte[] {1}));
    List<Callable<CreateOutcome>> creates = new ArrayList<>();
    for (int i = 0; i < 6; i++) {
      Sandbox sandbox = Samples.starting(i, "acme", "n1");
      creates.add(() -> store.create(List.of(sandbox), Optional.of(key), MANY));
    }
    List<CreateOutcome> outcomes = together(creates);
    Sandbox winner = store.live().getFirst();
    assertThat(outcomes).filteredOn(CreateOutcome.Created.class::isInstance).hasSize(1);
    assertThat(outcomes)
        .filteredOn(CreateOutcome.Duplicate.class::isInstance)
        .hasSize(5)
        .allMatch(outcome ->
            ((CreateOutcome.Duplicate) outcome).known().made().equals(List.of(winner.id())));
    assertThat(requests.find("other", "r", Samples.NOW)).isEmpty();
    assertThat(requests.find("acme", "r", Samples.NOW.plus(Duration.ofHours(23)))).isPresent();
    assertThat(requests.find("acme", "r", Samples.NOW.plus(Duration.ofHours(25)))).isEmpty();
    assertThat(store.apply(winner.stopping(EndCause.START_FAILED, "no"))).isTrue();
    assertThat(requests.find("acme", "r", Samples.NOW)).isEmpty();
  }

  @Test
  void aCreateOverQuotaDoesNotTakeItsRequestId() {
    RequestKey key = new RequestKey("r", Fingerprint.ofContent(new byte[] {1}));
    create(1);
    assertThat(store.create(List.of(Samples.starting(2, "acme", "n1")), Optional.of(key), 1))
        .isEqualTo(new CreateOutcome.OverQuota(1));
    assertThat(requests.find("acme", "r", Samples.NOW)).isEmpty();
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
    store.prune(Samples.NOW);
    assertThat(store.find(sandbox.id())).isPresent();
    store.prune(Samples.NOW.plusSeconds(1));
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
    assertThat(store.create(List.of(sandbox), Optional.empty(), MANY))
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
