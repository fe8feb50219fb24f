package dev.cofferdam.node.sandbox;

import dev.cofferdam.node.disk.SandboxFiles;
import dev.cofferdam.node.guest.GuestConnector;
import dev.cofferdam.node.helper.NodeHelper;
import dev.cofferdam.node.journal.Journal;
import dev.cofferdam.node.machine.Hypervisor;
import dev.cofferdam.node.sandbox.SandboxState.Running;
import dev.cofferdam.node.slot.Occupants;
import dev.cofferdam.node.snapshot.SnapshotStore;
import java.io.IOException;
import java.time.InstantSource;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.function.BiConsumer;
import java.util.random.RandomGenerator;

/** What sleep, snapshots and forks are made of, wired. */
public final class SleepParts {
  final SnapshotStore store;
  final Profiles profiles;
  final Standstill standstill;
  final Waking waking;
  final ForkMaker forks;
  private final NodeHelper helper;
  private final SandboxFiles files;
  private final Journal journal;
  private final InstantSource clock;
  private final ExecutorService executor;

  /**
   * @param random draws entropy and tokens: cryptographically strong
   * @param executor runs what overlaps
   */
  public SleepParts(
      NodeHelper helper,
      Hypervisor hypervisor,
      SandboxFiles files,
      GuestConnector guests,
      Gateway gateway,
      Occupants occupants,
      SnapshotStore store,
      Journal journal,
      InstantSource clock,
      RandomGenerator random,
      ExecutorService executor) {
    this.helper = helper;
    this.files = files;
    this.store = store;
    this.journal = journal;
    this.clock = clock;
    this.executor = executor;
    this.profiles = new Profiles(files, hypervisor);
    this.standstill = new Standstill(guests, clock, random);
    this.waking = new Waking(helper, hypervisor, files, profiles, guests, clock, random);
    this.forks =
        new ForkMaker(
            helper, hypervisor, files, guests, gateway, occupants, clock, random, executor);
  }

  /** Digests of the images that sandboxes and snapshots of this node need again. */
  public Set<String> images() throws IOException {
    Set<String> images = profiles.images();
    images.addAll(store.images());
    return images;
  }

  SandboxStates states(
      Cells cells,
      Capacity capacity,
      Admission admission,
      SandboxMetrics metrics,
      BiConsumer<String, Running> watch) {
    Sleeper sleeper =
        new Sleeper(
            helper, files, profiles, capacity, journal, standstill, waking, admission, watch);
    Keeper keeper =
        new Keeper(
            helper,
            files,
            profiles,
            store,
            capacity,
            journal,
            standstill,
            sleeper,
            waking,
            executor);
    return new SandboxStates(cells, store, sleeper, keeper, new Changes(clock), metrics);
  }
}
