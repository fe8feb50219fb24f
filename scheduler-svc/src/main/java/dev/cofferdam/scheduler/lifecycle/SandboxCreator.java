package dev.cofferdam.scheduler.lifecycle;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.scheduler.cluster.Cluster;
import dev.cofferdam.scheduler.lifecycle.Idempotency.Outcome;
import dev.cofferdam.scheduler.placement.NodeView;
import dev.cofferdam.scheduler.sandbox.EndCause;
import dev.cofferdam.scheduler.sandbox.Lifetime;
import dev.cofferdam.scheduler.sandbox.Origin;
import dev.cofferdam.scheduler.sandbox.Sandbox;
import dev.cofferdam.scheduler.sandbox.SandboxState.Starting;
import dev.cofferdam.scheduler.sandbox.Transition;
import dev.cofferdam.scheduler.sandbox.VolumeUse;
import dev.cofferdam.scheduler.snapshot.Snapshot;
import dev.cofferdam.scheduler.store.CreateOutcome;
import dev.cofferdam.scheduler.store.SandboxStore;
import dev.cofferdam.v1.ErrorReason;
import io.grpc.Deadline;
import io.grpc.StatusRuntimeException;
import java.time.Instant;
import java.time.InstantSource;
import java.time.temporal.ChronoUnit;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.random.RandomGenerator;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Makes one sandbox: node, record, grants, VM, in this order; from the record on again where the
 * node refuses and another has room. Whatever fails after the record was stored is undone before
 * the answer where that can be, else in the background; a process that dies in between leaves a
 * record that its successor undoes. Safe for use by several threads.
 */
final class SandboxCreator {
  private static final Logger log = LoggerFactory.getLogger(SandboxCreator.class);

  /** With one of these a node says that it has made nothing. */
  private static final Set<ErrorReason> NOTHING_MADE =
      EnumSet.of(
          ErrorReason.ERROR_REASON_NO_CAPACITY,
          ErrorReason.ERROR_REASON_TEMPLATE_NOT_FOUND,
          ErrorReason.ERROR_REASON_NODE_UNAVAILABLE);

  private final SandboxStore store;
  private final SandboxStarter starter;
  private final Snapshots snapshots;
  private final Volumes volumes;
  private final Cluster cluster;
  private final Creations creations;
  private final SandboxEnder ender;
  private final LifecycleConfig config;
  private final InstantSource clock;
  private final RandomGenerator random;
  private final Reservations reservations;

  SandboxCreator(
      SandboxStore store,
      SandboxStarter starter,
      Snapshots snapshots,
      Volumes volumes,
      Cluster cluster,
      Creations creations,
      SandboxEnder ender,
      LifecycleConfig config,
      InstantSource clock,
      RandomGenerator random) {
    this.store = store;
    this.starter = starter;
    this.snapshots = snapshots;
    this.volumes = volumes;
    this.cluster = cluster;
    this.creations = creations;
    this.ender = ender;
    this.config = config;
    this.clock = clock;
    this.random = random;
    this.reservations = new Reservations(cluster, random);
  }

  /** What the steps of one create share. */
  private record Order(String token, CreateSpec spec, Deadline deadline, BooleanSupplier wanted) {}

  /**
   * @param token of the tenant, for the broker
   * @param wanted false once nobody would learn of the sandbox: then it never counts as running,
   *     and whoever finds its record undoes it, be it a later process
   */
  Outcome<Sandbox> create(String tenant, String token, CreateSpec spec, BooleanSupplier wanted) {
    return create(Ids.sandbox(random), tenant, token, spec, wanted);
  }

  /**
   * @param id that another record names already; used once
   */
  Outcome<Sandbox> create(
      String id, String tenant, String token, CreateSpec spec, BooleanSupplier wanted) {
    Order order =
        new Order(
            token,
            spec,
            Deadline.after(config.createTimeout().toMillis(), TimeUnit.MILLISECONDS),
            wanted);
    Volumes.Found found = volumes.find(tenant, spec.volumes(), spec.diskSource());
    NodeView node =
        spec.snapshot().isPresent()
            ? reservations.reserveOn(
                // As it is now: it may have gone since the request was checked.
                snapshots.ready(tenant, spec.snapshot().get().id()).node(), id, spec.size())
            : reservations.reserve(id, spec, found.node());
    boolean recorded = false;
    creations.begin(id);
    try {
      Sandbox sandbox = record(id, tenant, spec, node, found.uses());
      switch (store.create(List.of(sandbox), spec.request(), config.quota(), found.diskSource())) {
        case CreateOutcome.Created _ -> recorded = true;
        case CreateOutcome.Duplicate duplicate -> {
          return new Outcome.Known<>(duplicate.known());
        }
        case CreateOutcome.OverQuota over ->
            throw new Refusal(
                ErrorReason.ERROR_REASON_QUOTA_EXCEEDED,
                "tenant %s has %d sandboxes, allowed are %d"
                    .formatted(tenant, over.inUse(), config.quota()));
        case CreateOutcome.VolumeTaken taken -> throw volumes.cannotHave(tenant, taken.volume());
      }
      return new Outcome.Made<>(startSomewhere(sandbox, order, found.diskSource()));
    } catch (RuntimeException e) {
      if (recorded) {
        undo(id, e);
      }
      throw e;
    } finally {
      creations.end(id);
      if (!recorded) {
        cluster.release(node.name(), id);
      }
    }
  }

  private Sandbox record(
      String id, String tenant, CreateSpec spec, NodeView node, List<VolumeUse> uses) {
    // PostgreSQL keeps microseconds; what is answered now has to be what is read later.
    Instant now = clock.instant().truncatedTo(ChronoUnit.MICROS);
    return new Sandbox(
        id,
        tenant,
        spec.template(),
        spec.size(),
        spec.labels(),
        now,
        new Lifetime(
            spec.lifetime().map(lifetime -> Sandboxes.end(now, lifetime)),
            spec.timeoutAction(),
            spec.idleTimeout()),
        spec.snapshot()
            .map(snapshot ->
                new Origin(snapshot.sandbox(), snapshot.generation(), Optional.of(snapshot.id()))),
        node.name(),
        1,
        1,
        spec.policy(),
        0,
        0,
        spec.secrets(),
        uses,
        node.isolation(),
        Optional.empty(),
        new Starting(creations.process()));
  }

  /** Where a node refuses, the next one is tried, until none is left that fits. */
  private Sandbox startSomewhere(Sandbox placed, Order order, Optional<VolumeUse> diskSource) {
    Set<String> refused = new HashSet<>();
    Sandbox sandbox = placed;
    while (true) {
      try {
        return start(sandbox, order, diskSource);
      } catch (StatusRuntimeException e) {
        if (Refusals.reason(e).filter(NOTHING_MADE::contains).isEmpty()
            || sandbox.origin().isPresent()
            || !sandbox.volumes().isEmpty()
            || diskSource.isPresent()) {
          throw e;
        }
        refused.add(sandbox.node());
        Optional<NodeView> next =
            reservations.reserveElsewhere(sandbox.id(), order.spec(), refused);
        if (next.isEmpty()) {
          throw e;
        }
        log.atInfo()
            .setMessage("sandbox_placed_again")
            .addKeyValue("sandbox", sandbox.id())
            .addKeyValue("node", next.get().name())
            .addKeyValue("why", e.getMessage())
            .log();
        sandbox = moved(sandbox, next.get());
      }
    }
  }

  private Sandbox moved(Sandbox sandbox, NodeView node) {
    Transition again = sandbox.placedAgain(node.name(), node.isolation());
    // It holds nothing there, whatever comes next.
    cluster.release(sandbox.node(), sandbox.id());
    boolean stored = false;
    try {
      stored = store.apply(again);
    } finally {
      if (!stored) {
        cluster.release(node.name(), sandbox.id());
      }
    }
    if (!stored) {
      throw endedMeanwhile(sandbox);
    }
    return again.after();
  }

  private Sandbox start(Sandbox sandbox, Order order, Optional<VolumeUse> diskSource) {
    Transition started =
        starter.start(
            sandbox,
            new SandboxStarter.Order(
                order.token(),
                order.spec().offer(),
                order.spec().env(),
                order.spec().snapshot().map(Snapshot::id),
                diskSource.map(VolumeUse::id),
                order.deadline()));
    if (!order.wanted().getAsBoolean()) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_NODE_UNAVAILABLE, "the caller left before the end");
    }
    if (!store.apply(started)) {
      throw endedMeanwhile(sandbox);
    }
    log.atInfo()
        .setMessage("sandbox_running")
        .addKeyValue("sandbox", sandbox.id())
        .addKeyValue("tenant", sandbox.tenant())
        .addKeyValue("node", sandbox.node())
        .log();
    return started.after();
  }

  private static Refusal endedMeanwhile(Sandbox sandbox) {
    return new Refusal(
        ErrorReason.ERROR_REASON_SANDBOX_START_FAILED,
        sandbox.id() + " was ended while it was starting");
  }

  /** Never throws: what cannot be done now is found by {@link Housekeeper}. */
  private void undo(String id, RuntimeException cause) {
    try {
      Optional<Sandbox> stopped = ender.stop(id, EndCause.START_FAILED, SandboxStarter.why(cause));
      // From here on it is the ender's: it no longer waits for this create.
      creations.end(id);
      if (stopped.isPresent()) {
        ender.finish(id);
      }
    } catch (RuntimeException e) {
      log.atWarn().setMessage("undo_failed").addKeyValue("sandbox", id).setCause(e).log();
    }
  }
}
