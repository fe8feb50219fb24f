package dev.cofferdam.scheduler.lifecycle;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.scheduler.cluster.Cluster;
import dev.cofferdam.scheduler.cluster.NodeLink;
import dev.cofferdam.scheduler.lifecycle.Idempotency.Outcome;
import dev.cofferdam.scheduler.sandbox.EndCause;
import dev.cofferdam.scheduler.sandbox.Lifetime;
import dev.cofferdam.scheduler.sandbox.Origin;
import dev.cofferdam.scheduler.sandbox.Sandbox;
import dev.cofferdam.scheduler.sandbox.SandboxState.Starting;
import dev.cofferdam.scheduler.sandbox.Transition;
import dev.cofferdam.scheduler.store.CreateOutcome;
import dev.cofferdam.scheduler.store.RequestStore.KnownRequest;
import dev.cofferdam.scheduler.store.SandboxStore;
import dev.cofferdam.v1.ErrorReason;
import io.grpc.Deadline;
import java.time.Instant;
import java.time.InstantSource;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.random.RandomGenerator;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Copies of a live sandbox, all or none: room and records of all, one snapshot that nobody else
 * knows, grants and VM of each, and then all count as running in one transaction. Whatever fails
 * before that, all are undone as creates are. Safe for use by several threads.
 */
public final class Forks {
  private static final Logger log = LoggerFactory.getLogger(Forks.class);

  private final SandboxStore store;
  private final Sandboxes tenants;
  private final Snapshots snapshots;
  private final SandboxStarter starter;
  private final Reservations reservations;
  private final Cluster cluster;
  private final Creations creations;
  private final SandboxEnder ender;
  private final Idempotency idempotency;
  private final LifecycleConfig config;
  private final InstantSource clock;
  private final RandomGenerator random;

  Forks(
      SandboxStore store,
      Sandboxes tenants,
      Snapshots snapshots,
      SandboxStarter starter,
      Cluster cluster,
      Creations creations,
      SandboxEnder ender,
      Idempotency idempotency,
      LifecycleConfig config,
      InstantSource clock,
      RandomGenerator random) {
    this.store = store;
    this.tenants = tenants;
    this.snapshots = snapshots;
    this.starter = starter;
    this.reservations = new Reservations(cluster, random);
    this.cluster = cluster;
    this.creations = creations;
    this.ender = ender;
    this.idempotency = idempotency;
    this.config = config;
    this.clock = clock;
    this.random = random;
  }

  /** Blocks until all run or nothing of them is left. */
  public List<Sandbox> fork(String tenant, String token, ForkSpec spec) {
    return idempotency.perform(
        tenant,
        spec.request(),
        NodeLink.SNAPSHOT_TIMEOUT.plus(config.createTimeout()),
        new Idempotency.Work<>() {
          @Override
          public Outcome<List<Sandbox>> make(BooleanSupplier wanted) {
            Sandbox source = tenants.live(tenant, spec.sandbox(), "");
            Snapshots.requireNoVolumes(source, "a fork");
            return copies(source, token, spec, wanted);
          }

          @Override
          public List<Sandbox> known(KnownRequest request) {
            return request.made().stream().map(id -> Creates.made(store, tenant, id)).toList();
          }

          @Override
          public void discard(List<Sandbox> made) {
            made.forEach(copy ->
                ender.endLater(copy.id(), EndCause.DELETED, "the caller left before the answer"));
          }
        });
  }

  private Outcome<List<Sandbox>> copies(
      Sandbox source, String token, ForkSpec spec, BooleanSupplier wanted) {
    List<Sandbox> copies = records(source, spec);
    List<Sandbox> reserved = new ArrayList<>();
    boolean recorded = false;
    copies.forEach(copy -> creations.begin(copy.id()));
    try {
      for (Sandbox copy : copies) {
        var _ = reservations.reserveOn(copy.node(), copy.id(), copy.size());
        reserved.add(copy);
      }
      switch (store.create(copies, spec.request(), config.quota())) {
        case CreateOutcome.Created _ -> recorded = true;
        case CreateOutcome.Duplicate duplicate -> {
          return new Outcome.Known<>(duplicate.known());
        }
        case CreateOutcome.OverQuota over ->
            throw new Refusal(
                ErrorReason.ERROR_REASON_QUOTA_EXCEEDED,
                "tenant %s has %d sandboxes and forks %d, allowed are %d"
                    .formatted(source.tenant(), over.inUse(), copies.size(), config.quota()));
        case CreateOutcome.VolumeTaken _ -> throw new IllegalStateException("no copy has volumes");
      }
      return new Outcome.Made<>(started(source, copies, token, wanted));
    } catch (RuntimeException e) {
      if (recorded) {
        undo(copies, e);
      }
      throw e;
    } finally {
      copies.forEach(copy -> creations.end(copy.id()));
      if (!recorded) {
        reserved.forEach(copy -> cluster.release(copy.node(), copy.id()));
      }
    }
  }

  private List<Sandbox> started(
      Sandbox source, List<Sandbox> copies, String token, BooleanSupplier wanted) {
    String snapshot = snapshots.takeTemporary(source);
    try {
      SandboxStarter.Order order =
          new SandboxStarter.Order(
              token,
              // Made of the snapshot alone.
              "",
              Map.of(),
              Optional.of(snapshot),
              Optional.empty(),
              Deadline.after(config.createTimeout().toMillis(), TimeUnit.MILLISECONDS));
      List<Transition> started = startAll(copies, order);
      if (!wanted.getAsBoolean()) {
        throw new Refusal(
            ErrorReason.ERROR_REASON_NODE_UNAVAILABLE, "the caller left before the end");
      }
      if (!store.applyAll(started)) {
        throw new Refusal(
            ErrorReason.ERROR_REASON_SANDBOX_START_FAILED,
            "a copy was ended while it was starting");
      }
      log.atInfo()
          .setMessage("sandbox_forked")
          .addKeyValue("sandbox", source.id())
          .addKeyValue("copies", copies.size())
          .log();
      return started.stream().map(Transition::after).toList();
    } finally {
      snapshots.dropTemporary(snapshot);
    }
  }

  /** All at a time; returns or throws only once each of them has ended. */
  private List<Transition> startAll(List<Sandbox> copies, SandboxStarter.Order order) {
    List<Future<Transition>> starts = new ArrayList<>();
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      copies.forEach(copy -> starts.add(threads.submit(() -> starter.start(copy, order))));
    }
    List<Transition> started = new ArrayList<>();
    for (Future<Transition> start : starts) {
      try {
        started.add(start.get());
      } catch (ExecutionException e) {
        if (e.getCause() instanceof RuntimeException cause) {
          throw cause;
        }
        throw new IllegalStateException(e);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new Refusal(ErrorReason.ERROR_REASON_NODE_UNAVAILABLE, "the scheduler is stopping");
      }
    }
    return started;
  }

  /** Never throws: what cannot be done now is found by {@link Housekeeper}. */
  private void undo(List<Sandbox> copies, RuntimeException cause) {
    String why = SandboxStarter.why(cause);
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      for (Sandbox copy : copies) {
        threads.execute(() -> {
          try {
            Optional<Sandbox> stopped = ender.stop(copy.id(), EndCause.START_FAILED, why);
            // From here on it is the ender's: it no longer waits for this fork.
            creations.end(copy.id());
            if (stopped.isPresent()) {
              ender.finish(copy.id());
            }
          } catch (RuntimeException e) {
            log.atWarn()
                .setMessage("undo_failed")
                .addKeyValue("sandbox", copy.id())
                .setCause(e)
                .log();
          }
        });
      }
    }
  }

  /** As the source is now; lifetime and labels are their own. */
  private List<Sandbox> records(Sandbox source, ForkSpec spec) {
    Instant now = clock.instant().truncatedTo(ChronoUnit.MICROS);
    Lifetime lifetime =
        new Lifetime(
            spec.lifetime().map(duration -> Sandboxes.end(now, duration)),
            spec.timeoutAction(),
            source.lifetime().idleTimeout());
    List<Sandbox> copies = new ArrayList<>();
    for (int i = 0; i < spec.count(); i++) {
      copies.add(
          new Sandbox(
              Ids.sandbox(random),
              source.tenant(),
              source.template(),
              source.size(),
              spec.labels(),
              now,
              lifetime,
              Optional.of(new Origin(source.id(), source.generation(), Optional.empty())),
              source.node(),
              1,
              1,
              source.policy(),
              0,
              0,
              source.secrets(),
              List.of(),
              source.isolation(),
              Optional.empty(),
              new Starting(creations.process())));
    }
    return copies;
  }
}
