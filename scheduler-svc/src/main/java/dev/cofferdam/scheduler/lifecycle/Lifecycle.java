package dev.cofferdam.scheduler.lifecycle;

import dev.cofferdam.scheduler.broker.BrokerClient;
import dev.cofferdam.scheduler.cluster.Cluster;
import dev.cofferdam.scheduler.sandbox.SandboxSize;
import dev.cofferdam.scheduler.store.EventStore;
import dev.cofferdam.scheduler.store.NodeStore;
import dev.cofferdam.scheduler.store.PolicyUpdateStore;
import dev.cofferdam.scheduler.store.RequestStore;
import dev.cofferdam.scheduler.store.SandboxStore;
import dev.cofferdam.scheduler.store.SnapshotStore;
import dev.cofferdam.scheduler.store.VolumeStore;
import java.time.InstantSource;
import java.util.UUID;
import java.util.random.RandomGenerator;

/** This package, wired. */
public final class Lifecycle implements AutoCloseable {
  private final Idempotency idempotency;
  private final Creates creates;
  private final SandboxStore store;
  private final SandboxCreator creator;
  private final Snapshots snapshots;
  private final Volumes volumes;
  private final Forks forks;
  private final NodeLoss losses;
  private final Sandboxes sandboxes;
  private final PolicyUpdates policies;
  private final StateChanges states;
  private final NodeReconciler nodes;
  private final SandboxEnder ender;
  private final Housekeeper housekeeper;

  /**
   * @param process names this process in the records of its creates
   * @param random for ids and placement; unpredictable in production
   */
  public Lifecycle(
      SandboxStore store,
      SnapshotStore snapshotStore,
      VolumeStore volumeStore,
      NodeStore nodeStore,
      RequestStore requests,
      PolicyUpdateStore policyUpdates,
      EventStore events,
      BrokerClient broker,
      Cluster cluster,
      LifecycleConfig config,
      UUID process,
      InstantSource clock,
      RandomGenerator random) {
    this.store = store;
    Creations creations = new Creations(process);
    ender = new SandboxEnder(store, broker, cluster, creations, config.createTimeout(), clock);
    idempotency = new Idempotency(requests, clock);
    sandboxes = new Sandboxes(store, ender, clock);
    snapshots =
        new Snapshots(
            snapshotStore,
            sandboxes,
            cluster,
            creations,
            idempotency,
            config.snapshotQuota(),
            clock,
            random);
    volumes = new Volumes(volumeStore, cluster, creations, config.volumeQuota(), clock, random);
    SandboxStarter starter = new SandboxStarter(broker, cluster, clock);
    creator =
        new SandboxCreator(
            store, starter, snapshots, volumes, cluster, creations, ender, config, clock, random);
    creates = new Creates(store, creator, ender, idempotency, config.createTimeout());
    forks =
        new Forks(
            store,
            sandboxes,
            snapshots,
            starter,
            cluster,
            creations,
            ender,
            idempotency,
            config,
            clock,
            random);
    policies = new PolicyUpdates(store, policyUpdates, sandboxes, broker, clock);
    states = new StateChanges(store, sandboxes, snapshots, cluster, clock);
    nodes = new NodeReconciler(store, cluster, ender, states, snapshots, volumes);
    losses = new NodeLoss(nodeStore, cluster, broker, config.nodeLostAfter(), clock);
    housekeeper =
        new Housekeeper(
            store,
            requests,
            events,
            cluster,
            creations,
            ender,
            policies,
            states,
            snapshotStore,
            snapshots,
            volumes,
            losses,
            config.retention(),
            clock);
  }

  public Creates creates() {
    return creates;
  }

  /**
   * @param base the operator's template that builds begin with
   * @param size that a build has at least
   */
  public Builders builders(String base, SandboxSize size) {
    return new Builders(store, creator, ender, base, size);
  }

  public Sandboxes sandboxes() {
    return sandboxes;
  }

  public PolicyUpdates policies() {
    return policies;
  }

  public Snapshots snapshots() {
    return snapshots;
  }

  public Volumes volumes() {
    return volumes;
  }

  public Forks forks() {
    return forks;
  }

  public StateChanges states() {
    return states;
  }

  public NodeReconciler nodes() {
    return nodes;
  }

  public Housekeeper housekeeper() {
    return housekeeper;
  }

  /** Creates that are under way get a moment; ends are left to the next process. */
  @Override
  public void close() {
    housekeeper.close();
    idempotency.close();
    states.close();
    snapshots.close();
    volumes.close();
    losses.close();
    policies.close();
    ender.close();
  }
}
