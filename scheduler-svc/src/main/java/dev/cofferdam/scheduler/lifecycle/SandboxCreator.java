package dev.cofferdam.scheduler.lifecycle;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.scheduler.broker.BrokerClient;
import dev.cofferdam.scheduler.broker.Grants;
import dev.cofferdam.scheduler.cluster.Cluster;
import dev.cofferdam.scheduler.placement.Decision;
import dev.cofferdam.scheduler.placement.NodeView;
import dev.cofferdam.scheduler.placement.Placement;
import dev.cofferdam.scheduler.placement.PlacementSpec;
import dev.cofferdam.scheduler.sandbox.EndCause;
import dev.cofferdam.scheduler.sandbox.Isolation;
import dev.cofferdam.scheduler.sandbox.Sandbox;
import dev.cofferdam.scheduler.sandbox.SandboxState.Starting;
import dev.cofferdam.scheduler.sandbox.Texts;
import dev.cofferdam.scheduler.sandbox.Transition;
import dev.cofferdam.scheduler.store.SandboxStore;
import dev.cofferdam.scheduler.store.SandboxStore.CreateOutcome;
import dev.cofferdam.v1.ErrorReason;
import io.grpc.Deadline;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.time.temporal.ChronoUnit;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.random.RandomGenerator;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Makes one sandbox: node, record, grants, VM, in this order. Whatever fails after the record was
 * stored is undone before the answer where that can be, else in the background; a process that dies
 * in between leaves a record that its successor undoes. Safe for use by several threads.
 */
final class SandboxCreator {
  private static final Logger log = LoggerFactory.getLogger(SandboxCreator.class);

  /** A view is old when another create takes the place; each try looks again. */
  private static final int PLACEMENT_TRIES = 5;

  private static final Duration GRANTS_TIMEOUT = Duration.ofSeconds(10);

  private final SandboxStore store;
  private final BrokerClient broker;
  private final Cluster cluster;
  private final Creations creations;
  private final SandboxEnder ender;
  private final LifecycleConfig config;
  private final InstantSource clock;
  private final RandomGenerator random;

  SandboxCreator(
      SandboxStore store,
      BrokerClient broker,
      Cluster cluster,
      Creations creations,
      SandboxEnder ender,
      LifecycleConfig config,
      InstantSource clock,
      RandomGenerator random) {
    this.store = store;
    this.broker = broker;
    this.cluster = cluster;
    this.creations = creations;
    this.ender = ender;
    this.config = config;
    this.clock = clock;
    this.random = random;
  }

  /** What came of a create. */
  sealed interface Outcome {
    record Made(Sandbox sandbox) implements Outcome {}

    /** Its request id was taken by another create just before; nothing was made. */
    record Known(SandboxStore.KnownRequest request) implements Outcome {}
  }

  /**
   * @param token of the tenant, for the broker
   */
  Outcome create(String tenant, String token, CreateSpec spec) {
    Deadline deadline = Deadline.after(config.createTimeout().toMillis(), TimeUnit.MILLISECONDS);
    String id = SandboxIds.next(random);
    NodeView node = reserve(id, spec);
    boolean recorded = false;
    creations.begin(id);
    try {
      Sandbox sandbox = record(id, tenant, spec, node);
      switch (store.create(sandbox, spec.request(), config.quota())) {
        case CreateOutcome.Created _ -> recorded = true;
        case CreateOutcome.Duplicate duplicate -> {
          return new Outcome.Known(duplicate.known());
        }
        case CreateOutcome.OverQuota over ->
            throw new Refusal(
                ErrorReason.ERROR_REASON_QUOTA_EXCEEDED,
                "tenant %s has %d sandboxes, allowed are %d"
                    .formatted(tenant, over.inUse(), config.quota()));
      }
      return new Outcome.Made(start(sandbox, token, spec, deadline));
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

  private NodeView reserve(String id, CreateSpec spec) {
    PlacementSpec wanted = new PlacementSpec(spec.template(), spec.size());
    for (int i = 0; i < PLACEMENT_TRIES; i++) {
      NodeView node =
          switch (Placement.place(cluster.view(), wanted, random)) {
            case Decision.Placed placed -> placed.node();
            case Decision.NoNodes _ ->
                throw new Refusal(
                    ErrorReason.ERROR_REASON_NODE_UNAVAILABLE, "no node has registered yet");
            case Decision.UnknownTemplate _ ->
                throw new Refusal(
                    ErrorReason.ERROR_REASON_TEMPLATE_NOT_FOUND,
                    "no node offers the template " + Texts.quoted(spec.template()));
            case Decision.TooLarge tooLarge ->
                throw new Refusal(
                    ErrorReason.ERROR_REASON_SIZE_OUT_OF_RANGE,
                    "size is %s, expected at most %s"
                        .formatted(
                            show(
                                spec.size().vcpus(),
                                spec.size().memoryMib(),
                                spec.size().diskMib()),
                            show(
                                tooLarge.largest().vcpus(),
                                tooLarge.largest().memoryMib(),
                                tooLarge.largest().diskMib())));
            case Decision.NoneConnected _ ->
                throw new Refusal(
                    ErrorReason.ERROR_REASON_NODE_UNAVAILABLE,
                    "no node that could hold it is connected");
            case Decision.Full _ -> throw full(spec);
          };
      if (cluster.reserve(node.name(), id, spec.size())) {
        return node;
      }
    }
    throw full(spec);
  }

  private static Refusal full(CreateSpec spec) {
    return new Refusal(
        ErrorReason.ERROR_REASON_NO_CAPACITY,
        "no node has room for "
            + show(spec.size().vcpus(), spec.size().memoryMib(), spec.size().diskMib()));
  }

  private static String show(int vcpus, int memoryMib, int diskMib) {
    return "%d vCPUs, %d MiB of memory, %d MiB of disk".formatted(vcpus, memoryMib, diskMib);
  }

  private Sandbox record(String id, String tenant, CreateSpec spec, NodeView node) {
    // PostgreSQL keeps microseconds; what is answered now has to be what is read later.
    Instant now = clock.instant().truncatedTo(ChronoUnit.MICROS);
    return new Sandbox(
        id,
        tenant,
        spec.template(),
        spec.size(),
        spec.labels(),
        now,
        spec.lifetime().map(lifetime -> Sandboxes.end(now, lifetime)),
        node.name(),
        1,
        1,
        spec.policy(),
        0,
        spec.secrets(),
        node.isolation(),
        new Starting(creations.process()));
  }

  private Sandbox start(Sandbox sandbox, String token, CreateSpec spec, Deadline deadline) {
    Deadline soon = Deadline.after(GRANTS_TIMEOUT.toMillis(), TimeUnit.MILLISECONDS);
    Grants grants = broker.createGrants(token, sandbox, soon.minimum(deadline));
    Map<String, String> env = new HashMap<>(spec.env());
    env.putAll(grants.placeholders());
    Isolation isolation =
        cluster
            .link(sandbox.node())
            .start(sandbox, env, grants.attachTicket(), grants.caCertificate(), deadline);
    Transition started =
        sandbox.started(
            isolation, grants.policyRevision(), clock.instant().truncatedTo(ChronoUnit.MICROS));
    if (!store.apply(started)) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_SANDBOX_START_FAILED,
          sandbox.id() + " was ended while it was starting");
    }
    log.atInfo()
        .setMessage("sandbox_running")
        .addKeyValue("sandbox", sandbox.id())
        .addKeyValue("tenant", sandbox.tenant())
        .addKeyValue("node", sandbox.node())
        .log();
    return started.after();
  }

  /** Never throws: what cannot be done now is found by {@link Housekeeper}. */
  private void undo(String id, RuntimeException cause) {
    try {
      Optional<Sandbox> stopped = ender.stop(id, EndCause.START_FAILED, why(cause));
      // From here on it is the ender's: it no longer waits for this create.
      creations.end(id);
      if (stopped.isPresent()) {
        ender.finish(id);
      }
    } catch (RuntimeException e) {
      log.atWarn().setMessage("undo_failed").addKeyValue("sandbox", id).setCause(e).log();
    }
  }

  /** For people: it becomes the sandbox's end message. */
  private static String why(RuntimeException cause) {
    return switch (cause) {
      case Refusal refusal -> String.valueOf(refusal.getMessage());
      case StatusRuntimeException status -> String.valueOf(status.getMessage());
      default -> "the scheduler failed; its log has the cause";
    };
  }
}
