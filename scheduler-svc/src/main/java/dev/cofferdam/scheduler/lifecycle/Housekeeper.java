package dev.cofferdam.scheduler.lifecycle;

import dev.cofferdam.scheduler.cluster.Cluster;
import dev.cofferdam.scheduler.sandbox.EndCause;
import dev.cofferdam.scheduler.sandbox.Sandbox;
import dev.cofferdam.scheduler.sandbox.SandboxState.Ended;
import dev.cofferdam.scheduler.sandbox.SandboxState.Live;
import dev.cofferdam.scheduler.sandbox.SandboxState.Starting;
import dev.cofferdam.scheduler.sandbox.SandboxState.Stopping;
import dev.cofferdam.scheduler.store.EventStore;
import dev.cofferdam.scheduler.store.RequestStore;
import dev.cofferdam.scheduler.store.SandboxStore;
import dev.cofferdam.scheduler.store.SnapshotStore;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What time brings about, read from the database in each pass, so that a restart forgets nothing:
 * lifetimes that are over, creates, snapshots and volumes whose process died, ends that are not yet
 * complete, policies and states whose change was left without an answer, nodes that fell silent,
 * records that are old.
 */
public final class Housekeeper implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(Housekeeper.class);

  /** So late a sandbox may end at most, beside the end itself. */
  private static final Duration PERIOD = Duration.ofMillis(500);

  private static final Duration PRUNE_PERIOD = Duration.ofHours(1);
  private static final int DUE_AT_ONCE = 500;

  private final SandboxStore store;
  private final RequestStore requests;
  private final EventStore events;
  private final Cluster cluster;
  private final Creations creations;
  private final SandboxEnder ender;
  private final PolicyUpdates policies;
  private final StateChanges states;
  private final SnapshotStore snapshotStore;
  private final Snapshots snapshots;
  private final Volumes volumes;
  private final NodeLoss losses;
  private final Duration retention;
  private final InstantSource clock;
  private final ScheduledExecutorService timer =
      Executors.newSingleThreadScheduledExecutor(
          Thread.ofPlatform().daemon().name("housekeeper").factory());
  private Instant pruned = Instant.MIN;

  Housekeeper(
      SandboxStore store,
      RequestStore requests,
      EventStore events,
      Cluster cluster,
      Creations creations,
      SandboxEnder ender,
      PolicyUpdates policies,
      StateChanges states,
      SnapshotStore snapshotStore,
      Snapshots snapshots,
      Volumes volumes,
      NodeLoss losses,
      Duration retention,
      InstantSource clock) {
    this.store = store;
    this.requests = requests;
    this.events = events;
    this.cluster = cluster;
    this.creations = creations;
    this.ender = ender;
    this.policies = policies;
    this.states = states;
    this.snapshotStore = snapshotStore;
    this.snapshots = snapshots;
    this.volumes = volumes;
    this.losses = losses;
    this.retention = retention;
    this.clock = clock;
  }

  public void start() {
    var _ =
        timer.scheduleWithFixedDelay(
            this::pass, PERIOD.toMillis(), PERIOD.toMillis(), TimeUnit.MILLISECONDS);
  }

  /** One round. Each part goes on where another fails. Not for several threads at a time. */
  public void pass() {
    part("silent_nodes", cluster::dropSilent);
    part("lost_nodes", losses::pass);
    part("expiry", this::expire);
    part("unsettled", this::settle);
    part("policies", policies::settle);
    part("states", states::settle);
    part("snapshots", snapshots::settle);
    part("volumes", volumes::settle);
    part("prune", this::prune);
  }

  @Override
  public void close() {
    Shutdown.gently(timer);
  }

  private void expire() {
    for (Sandbox sandbox : store.due(clock.instant(), DUE_AT_ONCE)) {
      switch (sandbox.lifetime().action()) {
        case DELETE -> {
          // Exactly this version: one that is extended at this moment has not expired.
          if (ender.stopExactly(sandbox, EndCause.EXPIRED, "its lifetime is over")) {
            ender.finishLater(sandbox.id());
          }
        }
        case SUSPEND -> states.suspendExpired(sandbox);
        case NONE -> {
          // Where it has changed since, the next pass looks again.
          var _ = store.apply(sandbox.outlived(now()));
        }
      }
    }
  }

  private void settle() {
    List<Sandbox> unsettled = store.unsettled();
    for (Sandbox sandbox : unsettled) {
      switch (sandbox.state()) {
        case Starting _ -> {
          if (!creations.contains(sandbox.id())
              && ender.stopExactly(
                  sandbox, EndCause.START_FAILED, "the scheduler stopped while it was starting")) {
            ender.finishLater(sandbox.id());
          }
        }
        case Stopping _ -> ender.retry(sandbox);
        case Live _, Ended _ -> {}
      }
    }
  }

  private void prune() {
    Instant now = clock.instant();
    if (pruned.isBefore(now.minus(PRUNE_PERIOD))) {
      pruned = now;
      Instant before = now.minus(retention);
      int rows =
          store.prune(before)
              + snapshotStore.prune(before)
              + requests.prune(now)
              + events.prune(before);
      log.atDebug().setMessage("pruned").addKeyValue("rows", rows).log();
    }
  }

  private Instant now() {
    return clock.instant().truncatedTo(ChronoUnit.MICROS);
  }

  private static void part(String name, Runnable work) {
    try {
      work.run();
    } catch (RuntimeException e) {
      log.atWarn()
          .setMessage("housekeeping_failed")
          .addKeyValue("part", name)
          .addKeyValue("why", e.getMessage())
          .log();
    }
  }
}
