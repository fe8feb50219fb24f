package dev.cofferdam.node.sandbox;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.node.disk.Disks;
import dev.cofferdam.node.disk.SandboxFiles;
import dev.cofferdam.node.disk.SparseFile;
import dev.cofferdam.node.guest.Guest;
import dev.cofferdam.node.guest.GuestConnector;
import dev.cofferdam.node.guest.GuestException;
import dev.cofferdam.node.guest.GuestIdentity;
import dev.cofferdam.node.helper.HelperException;
import dev.cofferdam.node.helper.NodeHelper;
import dev.cofferdam.node.journal.JournalException;
import dev.cofferdam.node.machine.Hypervisor;
import dev.cofferdam.node.machine.Machine;
import dev.cofferdam.node.machine.MachineException;
import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.node.machine.MachineSpec;
import dev.cofferdam.node.machine.Steps;
import dev.cofferdam.node.pool.Pooled;
import dev.cofferdam.node.sandbox.SandboxState.Running;
import dev.cofferdam.node.slot.Occupants;
import dev.cofferdam.node.slot.Slot;
import dev.cofferdam.node.template.Template;
import dev.cofferdam.v1.ErrorReason;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.InstantSource;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;
import java.util.random.RandomGenerator;

/**
 * Makes one sandbox.
 *
 * <p>What can overlap does: the gateway is asked while a machine of the pool is told who it is, or
 * while the VMM of a fresh one starts and its disk is copied. Two things wait on purpose: the guest
 * does not run before its disk is whole, and the sandbox is nobody's to use before both the guest
 * is unique and the way out is in force. Until then no process of a tenant runs in it, and what the
 * guest itself might send meets a slot that lets nothing out.
 */
public final class SandboxMaker {
  /** A restored guest answers within 300 ms; this is for a machine under load. */
  private static final Duration RESTORED = Duration.ofSeconds(20);

  /** A cold boot under emulation takes 5 s on an idle machine. */
  private static final Duration BOOTED = Duration.ofSeconds(60);

  private final NodeHelper helper;
  private final Hypervisor hypervisor;
  private final SandboxFiles files;
  private final Disks disks;
  private final DiskSources sources;
  private final GuestConnector guests;
  private final Gateway gateway;
  private final Occupants occupants;
  private final InstantSource clock;
  private final RandomGenerator random;
  private final ExecutorService executor;

  /** Where the disk of a sandbox can begin as a copy of a volume. */
  @FunctionalInterface
  public interface DiskSources {
    /**
     * @param target made here
     * @param sizeMib of the target, not smaller than the volume
     */
    void copy(String volume, Path target, int sizeMib) throws IOException;
  }

  /**
   * @param random draws entropy and tokens: cryptographically strong
   * @param executor runs what overlaps
   */
  public SandboxMaker(
      NodeHelper helper,
      Hypervisor hypervisor,
      SandboxFiles files,
      Disks disks,
      DiskSources sources,
      GuestConnector guests,
      Gateway gateway,
      Occupants occupants,
      InstantSource clock,
      RandomGenerator random,
      ExecutorService executor) {
    this.helper = helper;
    this.hypervisor = hypervisor;
    this.files = files;
    this.disks = disks;
    this.sources = sources;
    this.guests = guests;
    this.gateway = gateway;
    this.occupants = occupants;
    this.clock = clock;
    this.random = random;
    this.executor = executor;
  }

  /** A sandbox that answers, and how it came to. */
  record Made(Running running, StartWay way) {}

  /** A machine that runs, or is about to, and how it came to. */
  private record Brought(Machine machine, Guest guest, StartWay way, boolean grown) {}

  /**
   * Fills a place that is claimed and journalled.
   *
   * @throws RuntimeException a {@link Refusal} or the gateway's status. What was made until this or
   *     an {@link Error} is left for {@link Teardown}, but no thread of ours works on it any more
   */
  Made make(StartOrder order, Template template, Place place, Steps steps) {
    Slot slot = place.slot();
    Future<?> attached =
        executor.submit(() ->
            steps.time(
                "attach", () -> gateway.attach(order.sandbox(), slot.address(), order.ticket())));
    try {
      Brought brought =
          switch (place) {
            case Place.Empty _ -> fresh(order, template, slot, steps);
            case Place.Pooled(Pooled.Restored restored) -> handedOver(order, restored);
            case Place.Pooled(Pooled.Waiting waiting) -> loaded(order, waiting, steps);
          };
      try {
        GuestIdentity identity = identity(order);
        files.writeToken(order.sandbox(), identity.token());
        occupants.enter(slot.number(), order.sandbox());
        steps.time("guest", () -> configure(brought, identity));
        steps.time("attach_wait", () -> Tasks.join(attached));
        return new Made(
            new Running(
                order.epoch(),
                slot,
                brought.machine(),
                brought.guest(),
                identity.token(),
                order.size()),
            brought.way());
      } catch (IOException | RuntimeException | Error e) {
        brought.guest().close();
        brought.machine().close();
        throw e;
      }
    } catch (IOException e) {
      throw failed(order, e);
    } catch (RuntimeException e) {
      throw refusal(order, e);
    } finally {
      Tasks.settle(attached);
    }
  }

  private static void configure(Brought brought, GuestIdentity identity) {
    Duration patience = brought.way() == StartWay.BOOTED ? BOOTED : RESTORED;
    if (brought.grown()) {
      brought.guest().configureGrown(identity, patience);
    } else {
      brought.guest().configure(identity, patience);
    }
  }

  private Brought fresh(StartOrder order, Template template, Slot slot, Steps steps)
      throws IOException {
    Path disk = files.create(order.sandbox()).resolve(MachineSpec.DISK);
    boolean restored = !order.bringsDisk() && order.size().restoresFrom(template.size());
    boolean grown = restored && grown(order, template);
    Machine machine =
        restored
            ? restore(order, template, slot, disk, steps)
            : boot(order, template, slot, disk, steps);
    if (grown) {
      grow(order, machine, steps);
    }
    StartWay way = grown ? StartWay.RESIZED : restored ? StartWay.RESTORED : StartWay.BOOTED;
    return new Brought(machine, resumed(machine, slot, steps), way, grown);
  }

  /** It runs already, and its guest's link is connected. */
  private Brought handedOver(StartOrder order, Pooled.Restored restored) throws IOException {
    try {
      rename(restored, order);
    } catch (IOException | RuntimeException e) {
      restored.guest().close();
      restored.machine().close();
      throw e;
    }
    restored.machine().renamed(order.sandbox());
    return new Brought(restored.machine(), restored.guest(), StartWay.POOLED, false);
  }

  private Brought loaded(StartOrder order, Pooled.Waiting waiting, Steps steps) throws IOException {
    rename(waiting, order);
    Machine machine = waiting.machine().load(steps);
    machine.renamed(order.sandbox());
    return new Brought(machine, resumed(machine, waiting.slot(), steps), StartWay.RESTORED, false);
  }

  private void rename(Pooled pooled, StartOrder order) throws IOException {
    try {
      files.rename(pooled.name(), order.sandbox());
    } catch (FileAlreadyExistsException e) {
      // What an assignment before left behind.
      files.delete(order.sandbox());
      files.rename(pooled.name(), order.sandbox());
    } catch (IOException e) {
      // Nobody else knows the name.
      files.delete(pooled.name());
      throw e;
    }
  }

  private Guest resumed(Machine machine, Slot slot, Steps steps) {
    steps.time("resume", machine::resume);
    // Not before: what a stopped guest is sent is lost, and sent again only a second later.
    return guests.connect(slot.link());
  }

  /**
   * Of the disk's file. One that is to grow has its size before the VMM starts, whose files may not
   * become larger than what it was given.
   */
  private static long size(StartOrder order, Template template) throws IOException {
    return grown(order, template)
        ? (long) order.size().diskMib() << 20
        : Files.size(template.disk());
  }

  private static boolean grown(StartOrder order, Template template) {
    return order.size().diskMib() > template.size().diskMib();
  }

  /** The file has that size already: this tells the guest. */
  private static void grow(StartOrder order, Machine machine, Steps steps) {
    steps.time("grow", () -> machine.growDisk(order.size().diskMib()));
  }

  private GuestIdentity identity(StartOrder order) {
    return GuestIdentity.fresh(
        random,
        clock.instant(),
        order.sandbox(),
        order.environment(),
        order.caCertificate(),
        Mounts.points(order.volumes()));
  }

  /**
   * The disk's blocks arrive while QEMU starts: it looks at the file's size alone before the guest
   * runs.
   */
  private Machine restore(StartOrder order, Template template, Slot slot, Path disk, Steps steps)
      throws IOException {
    try (FileChannel channel = SparseFile.create(disk, size(order, template))) {
      Future<?> copied = executor.submit(() -> steps.time("disk", () -> copy(template, channel)));
      try {
        prepare(order, slot, List.of(MachineSpec.DISK), steps);
        Machine machine =
            hypervisor.restore(
                spec(order, template, slot, template.size()), template.name(), steps);
        steps.time("disk_wait", () -> Tasks.join(copied));
        return machine;
      } finally {
        Tasks.settle(copied);
      }
    }
  }

  private Machine boot(StartOrder order, Template template, Slot slot, Path disk, Steps steps) {
    boolean own = Mounts.disk(order.volumes()).isEmpty();
    if (own) {
      steps.time("disk", () -> lay(order, disk));
    }
    prepare(order, slot, own ? List.of(MachineSpec.DISK) : List.of(), steps);
    return hypervisor.boot(spec(order, template, slot, order.size()), steps);
  }

  private void prepare(StartOrder order, Slot slot, List<String> disks, Steps steps) {
    steps.time("prepare", () -> helper.prepareSandbox(slot.number(), order.sandbox(), disks));
  }

  private static MachineSpec spec(
      StartOrder order, Template template, Slot slot, MachineSize size) {
    return new MachineSpec(
        order.sandbox(),
        slot.number(),
        template.image().digest(),
        size,
        template.image().kernelArguments(),
        Mounts.mounted(order.volumes()),
        Mounts.disk(order.volumes()));
  }

  private void lay(StartOrder order, Path disk) {
    int size = order.size().diskMib();
    try {
      if (order.diskSource().isPresent()) {
        sources.copy(order.diskSource().get(), disk, size);
      } else {
        disks.format(disk, size);
      }
    } catch (IOException e) {
      throw new MachineException("the disk was not made: " + e.getMessage(), e);
    }
  }

  private static void copy(Template template, FileChannel channel) {
    try {
      SparseFile.copy(template.disk(), template.diskExtents(), channel);
    } catch (IOException e) {
      throw new MachineException("the disk was not copied: " + e.getMessage(), e);
    }
  }

  static RuntimeException refusal(StartOrder order, RuntimeException thrown) {
    return switch (thrown) {
      case MachineException e -> failed(order, e);
      case GuestException e -> failed(order, e);
      case HelperException e -> failed(order, e);
      case JournalException e -> failed(order, e);
      default -> thrown;
    };
  }

  static Refusal failed(StartOrder order, Exception cause) {
    Refusal refusal =
        new Refusal(
            ErrorReason.ERROR_REASON_SANDBOX_START_FAILED,
            "%s did not start: %s".formatted(order.sandbox(), cause.getMessage()));
    refusal.initCause(cause);
    return refusal;
  }
}
