package dev.cofferdam.scheduler.lifecycle;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.scheduler.cluster.Cluster;
import dev.cofferdam.scheduler.cluster.NodeLink;
import dev.cofferdam.scheduler.placement.NodeView;
import dev.cofferdam.scheduler.sandbox.Sandbox;
import dev.cofferdam.scheduler.sandbox.Texts;
import dev.cofferdam.scheduler.sandbox.VolumeUse;
import dev.cofferdam.scheduler.store.VolumeStore;
import dev.cofferdam.scheduler.volume.Volume;
import dev.cofferdam.scheduler.volume.VolumeState.Making;
import dev.cofferdam.scheduler.volume.VolumeState.Ready;
import dev.cofferdam.scheduler.volume.VolumeState.Removing;
import dev.cofferdam.v1.ErrorReason;
import java.time.Duration;
import java.time.InstantSource;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.random.RandomGenerator;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Makes volumes and removes them: record, node, record. What fails after the record was stored is
 * undone; a process that dies in between leaves a record that its successor undoes. Safe for use by
 * several threads.
 */
public final class Volumes implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(Volumes.class);
  private static final int DEFAULT_MIB = 1024;

  /** Nodes that are asked for one volume before its tenant is refused. */
  private static final int TRIES = 5;

  /** Of one name, for which another call may be under way. */
  private static final Duration TURN = NodeLink.SNAPSHOT_TIMEOUT.plusSeconds(30);

  /** With one of these another node may say otherwise. */
  private static final Set<ErrorReason> ELSEWHERE =
      EnumSet.of(ErrorReason.ERROR_REASON_NO_CAPACITY, ErrorReason.ERROR_REASON_NODE_UNAVAILABLE);

  private final VolumeStore store;
  private final Cluster cluster;
  private final Creations creations;
  private final int quota;
  private final InstantSource clock;
  private final RandomGenerator random;
  private final Turns turns = new Turns();
  private final Retries retries;
  private final Backlog backlog = new Backlog(16);

  /**
   * @param quota of one tenant, at least 1
   */
  Volumes(
      VolumeStore store,
      Cluster cluster,
      Creations creations,
      int quota,
      InstantSource clock,
      RandomGenerator random) {
    this.store = store;
    this.cluster = cluster;
    this.creations = creations;
    this.quota = quota;
    this.clock = clock;
    this.random = random;
    this.retries = new Retries(clock);
  }

  /**
   * Blocks until it is durable on its node, or has been undone. Where there is one already that the
   * same request would have made, it is that one.
   *
   * @throws Refusal VOLUME_EXISTS, VOLUME_NOT_FOUND for the source, SIZE_OUT_OF_RANGE,
   *     QUOTA_EXCEEDED, or as the node answers
   */
  public Volume create(String tenant, VolumeSpec spec) {
    try {
      return turns
          .take(tenant + "/" + spec.name(), TURN, () -> createInTurn(tenant, spec))
          .orElseThrow(() ->
              new Refusal(
                  ErrorReason.ERROR_REASON_NODE_UNAVAILABLE,
                  "another create of %s has been under way for %s".formatted(spec.name(), TURN)));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new Refusal(ErrorReason.ERROR_REASON_NODE_UNAVAILABLE, "the scheduler is stopping");
    }
  }

  /**
   * @throws Refusal VOLUME_NOT_FOUND, also for another tenant's
   */
  public Volume get(String tenant, String name) {
    return store
        .find(tenant, name)
        .filter(volume -> volume.state() instanceof Ready)
        .orElseThrow(() -> notFound(tenant, name));
  }

  /**
   * Returns when nothing of it is left, or, where its node is away, once its end is on record and
   * will be brought about.
   *
   * @throws Refusal VOLUME_NOT_FOUND, VOLUME_IN_USE
   */
  public void delete(String tenant, String name) {
    while (true) {
      Volume volume = get(tenant, name);
      requireFree(volume);
      if (store.giveUp(volume.id())) {
        var _ = finish(volume.id());
        return;
      }
    }
  }

  /**
   * Those that a sandbox is to have, as they are now; storing its record is what gives it them.
   *
   * @param byDirectory names
   * @param diskSource name of the one that its disk begins as a copy of
   * @throws Refusal VOLUME_NOT_FOUND, VOLUME_IN_USE, or INVALID_ARGUMENT where they lie on
   *     different nodes
   */
  Found find(String tenant, Map<String, String> byDirectory, Optional<String> diskSource) {
    List<VolumeUse> uses = new ArrayList<>();
    Optional<Volume> first = Optional.empty();
    for (Map.Entry<String, String> entry : byDirectory.entrySet()) {
      Volume volume = free(tenant, entry.getValue(), first);
      first = first.or(() -> Optional.of(volume));
      uses.add(use(entry.getKey(), volume));
    }
    Optional<Volume> beside = first;
    Optional<Volume> source = diskSource.map(name -> free(tenant, name, beside));
    return new Found(
        first.or(() -> source).map(Volume::node),
        uses,
        source.map(volume -> use(VolumeUse.DISK, volume)));
  }

  private Volume free(String tenant, String name, Optional<Volume> beside) {
    Volume volume = get(tenant, name);
    requireFree(volume);
    if (beside.isPresent() && !beside.get().node().equals(volume.node())) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT,
          "volume %s lies on node %s and volume %s on node %s, expected all on one"
              .formatted(beside.get().name(), beside.get().node(), volume.name(), volume.node()));
    }
    return volume;
  }

  private static VolumeUse use(String directory, Volume volume) {
    return new VolumeUse(directory, volume.name(), volume.id());
  }

  /**
   * @param node that has them all; empty where there are none
   * @param uses those that it gets
   * @param diskSource the one that its disk begins as a copy of
   */
  record Found(Optional<String> node, List<VolumeUse> uses, Optional<VolumeUse> diskSource) {}

  /** Why a sandbox cannot have it, as the record says by now. */
  Refusal cannotHave(String tenant, VolumeUse use) {
    try {
      requireFree(get(tenant, use.name()));
      return new Refusal(
          ErrorReason.ERROR_REASON_VOLUME_IN_USE,
          "volume " + use.name() + " is being copied; a sandbox may have it afterwards");
    } catch (Refusal refusal) {
      return refusal;
    }
  }

  /** Takes up what an earlier process left, and what is due again. */
  void settle() {
    for (Volume volume : store.unsettled()) {
      if (!creations.contains(volume.id()) && retries.isDue(volume.id())) {
        backlog.addUnlessBusy(volume.id(), () -> undo(volume.id()));
      }
    }
  }

  void retryAllNow() {
    retries.allNow();
  }

  @Override
  public void close() {
    backlog.close();
  }

  private Volume createInTurn(String tenant, VolumeSpec spec) {
    Optional<Volume> present = store.find(tenant, spec.name());
    if (present.isPresent()) {
      return same(present.get(), spec);
    }
    Optional<Volume> source = spec.source().map(name -> get(tenant, name));
    Optional<Volume.Base> base = base(spec, source);
    int size =
        spec.sizeMib() == 0 ? source.map(Volume::sizeMib).orElse(DEFAULT_MIB) : spec.sizeMib();
    if (source.isPresent() && size < source.get().sizeMib()) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_SIZE_OUT_OF_RANGE,
          "size_mib is %d, expected at least %d, the size of %s"
              .formatted(size, source.get().sizeMib(), source.get().name()));
    }
    RuntimeException last =
        new Refusal(ErrorReason.ERROR_REASON_NODE_UNAVAILABLE, "no node is connected");
    for (String node : source.map(of -> List.of(of.node())).orElseGet(() -> nodes(tenant))) {
      try {
        return make(begun(tenant, spec.name(), size, node, source, base));
      } catch (RuntimeException e) {
        if (Refusals.reason(e).filter(ELSEWHERE::contains).isEmpty()) {
          throw e;
        }
        last = e;
      }
    }
    throw last;
  }

  private static Optional<Volume.Base> base(VolumeSpec spec, Optional<Volume> source) {
    if (source.isEmpty()) {
      return spec.base();
    }
    if (spec.base().isPresent() && !spec.base().equals(source.get().base())) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_VOLUME_NOT_BOOTABLE,
          "source %s was not made for the template %s that there is now"
              .formatted(source.get().name(), spec.base().get().template()));
    }
    return source.get().base();
  }

  private static Volume same(Volume present, VolumeSpec spec) {
    if (present.state() instanceof Making) {
      // Its driver died with an earlier process; it is being undone, and then the name is free.
      throw new Refusal(
          ErrorReason.ERROR_REASON_NODE_UNAVAILABLE,
          "the scheduler stopped while %s was being made; try again".formatted(spec.name()));
    }
    int wanted = spec.sizeMib() == 0 && spec.source().isEmpty() ? DEFAULT_MIB : spec.sizeMib();
    if ((wanted != 0 && wanted != present.sizeMib())
        || !present.source().map(Volume.Source::name).equals(spec.source())
        || ((spec.source().isEmpty() || spec.base().isPresent())
            && !present.base().equals(spec.base()))) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_VOLUME_EXISTS,
          "volume %s is there with %d MiB%s%s"
              .formatted(
                  present.name(),
                  present.sizeMib(),
                  present.source().map(of -> ", a copy of " + of.name()).orElse(""),
                  present.base().map(of -> ", for the template " + of.template()).orElse("")));
    }
    return present;
  }

  /**
   * Where the tenant has most of its volumes first, for a sandbox can have only those of one node;
   * then where most is free.
   */
  private List<String> nodes(String tenant) {
    Map<String, Integer> own = store.perNode(tenant);
    return cluster.view().nodes().stream()
        .filter(node -> node.present() && node.pressure().isEmpty())
        .sorted(
            Comparator.comparingInt((NodeView node) -> -own.getOrDefault(node.name(), 0))
                .thenComparingLong(node -> -node.freeDiskMib()))
        .limit(TRIES)
        .map(NodeView::name)
        .toList();
  }

  private Volume begun(
      String tenant,
      String name,
      int sizeMib,
      String node,
      Optional<Volume> source,
      Optional<Volume.Base> base) {
    return new Volume(
        Ids.volume(random),
        tenant,
        name,
        sizeMib,
        node,
        source.map(of -> new Volume.Source(of.id(), of.name())),
        base,
        clock.instant().truncatedTo(ChronoUnit.MICROS),
        new Making(creations.process()));
  }

  private Volume make(Volume volume) {
    String id = volume.id();
    boolean recorded = false;
    creations.begin(id);
    try {
      Optional<Sandbox> holder =
          switch (store.create(volume, quota)) {
            case VolumeStore.Outcome.Created created -> created.holder();
            case VolumeStore.Outcome.Exists _ ->
                throw new Refusal(
                    ErrorReason.ERROR_REASON_VOLUME_EXISTS,
                    "volume " + volume.name() + " was made just now");
            case VolumeStore.Outcome.SourceGone _ ->
                throw notFound(
                    volume.tenant(), volume.source().map(Volume.Source::name).orElse(""));
            case VolumeStore.Outcome.OverQuota over ->
                throw new Refusal(
                    ErrorReason.ERROR_REASON_QUOTA_EXCEEDED,
                    "tenant %s has %d volumes, allowed are %d"
                        .formatted(volume.tenant(), over.inUse(), quota));
          };
      recorded = true;
      cluster.link(volume.node()).makeVolume(volume, holder);
      if (!store.ready(id)) {
        throw new IllegalStateException(id + " was given up while it was being made");
      }
      log.atInfo()
          .setMessage("volume_made")
          .addKeyValue("volume", id)
          .addKeyValue("tenant", volume.tenant())
          .addKeyValue("node", volume.node())
          .log();
      return store.find(id).orElseThrow();
    } catch (RuntimeException e) {
      if (recorded) {
        // From here on it is the remover's: it no longer waits for this create.
        creations.end(id);
        undo(id);
      }
      throw e;
    } finally {
      creations.end(id);
    }
  }

  /** Never throws. */
  private void undo(String id) {
    try {
      var _ = store.abandon(id);
    } catch (RuntimeException e) {
      log.atWarn().setMessage("undo_failed").addKeyValue("volume", id).setCause(e).log();
      return;
    }
    var _ = finish(id);
  }

  /**
   * Does what one that has to go still needs. True once nothing of it is left; after false it is
   * tried again in the background. Never throws.
   */
  private boolean finish(String id) {
    boolean done = false;
    try {
      Optional<Volume> volume = store.find(id);
      if (volume.isPresent() && volume.get().state() instanceof Removing) {
        cluster.link(volume.get().node()).removeVolume(id);
        store.forget(id);
        log.atInfo().setMessage("volume_removed").addKeyValue("volume", id).log();
      }
      done = true;
    } catch (RuntimeException e) {
      log.atWarn()
          .setMessage("volume_not_removed")
          .addKeyValue("volume", id)
          .addKeyValue("why", e.getMessage())
          .log();
    }
    retries.note(id, done);
    return done;
  }

  private static void requireFree(Volume volume) {
    if (volume.state() instanceof Ready ready && ready.sandbox().isPresent()) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_VOLUME_IN_USE,
          "volume %s is in use by %s".formatted(volume.name(), ready.sandbox().get()));
    }
  }

  private static Refusal notFound(String tenant, String name) {
    return new Refusal(
        ErrorReason.ERROR_REASON_VOLUME_NOT_FOUND,
        "no volume " + Texts.quoted(name) + " of tenant " + tenant);
  }
}
