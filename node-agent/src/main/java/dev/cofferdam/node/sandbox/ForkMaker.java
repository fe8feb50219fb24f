package dev.cofferdam.node.sandbox;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.node.disk.SandboxFiles;
import dev.cofferdam.node.disk.SparseFile;
import dev.cofferdam.node.guest.Freshness;
import dev.cofferdam.node.guest.Guest;
import dev.cofferdam.node.guest.GuestConnector;
import dev.cofferdam.node.guest.GuestIdentity;
import dev.cofferdam.node.helper.NodeHelper;
import dev.cofferdam.node.machine.Hypervisor;
import dev.cofferdam.node.machine.Machine;
import dev.cofferdam.node.machine.MachineException;
import dev.cofferdam.node.machine.MachineSpec;
import dev.cofferdam.node.machine.Steps;
import dev.cofferdam.node.sandbox.SandboxState.Running;
import dev.cofferdam.node.slot.Occupants;
import dev.cofferdam.node.slot.Slot;
import dev.cofferdam.node.snapshot.Snapshot;
import dev.cofferdam.v1.ErrorReason;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.InstantSource;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;
import java.util.random.RandomGenerator;

/**
 * Makes one sandbox out of a snapshot of another: with its processes, or, of a disk alone, by a
 * boot. The copy is somebody else, and its way out in force, before anything in it runs.
 */
final class ForkMaker {
  private static final Duration RESTORED = Duration.ofSeconds(20);
  private static final Duration BOOTED = Duration.ofSeconds(60);

  private final NodeHelper helper;
  private final Hypervisor hypervisor;
  private final SandboxFiles files;
  private final GuestConnector guests;
  private final Gateway gateway;
  private final Occupants occupants;
  private final InstantSource clock;
  private final RandomGenerator random;
  private final ExecutorService executor;

  /**
   * @param random draws entropy and tokens: cryptographically strong
   * @param executor runs what overlaps
   */
  ForkMaker(
      NodeHelper helper,
      Hypervisor hypervisor,
      SandboxFiles files,
      GuestConnector guests,
      Gateway gateway,
      Occupants occupants,
      InstantSource clock,
      RandomGenerator random,
      ExecutorService executor) {
    this.helper = helper;
    this.hypervisor = hypervisor;
    this.files = files;
    this.guests = guests;
    this.gateway = gateway;
    this.occupants = occupants;
    this.clock = clock;
    this.random = random;
    this.executor = executor;
  }

  /**
   * @throws Refusal SNAPSHOT_UNUSABLE, before anything is made
   */
  void require(StartOrder order, Snapshot snapshot) {
    if (!order.size().equals(snapshot.size())) {
      throw unusable(
          "%s is of %s, expected %s".formatted(snapshot.id(), snapshot.size(), order.size()));
    }
    if (snapshot.full()) {
      MachineSpec spec =
          new MachineSpec("", 1, snapshot.image(), snapshot.size(), snapshot.kernelArguments());
      if (!hypervisor.fingerprint(spec).equals(snapshot.fingerprint())) {
        throw unusable(snapshot.id() + " is of another version of the hypervisor");
      }
    }
  }

  static Refusal unusable(String message) {
    return new Refusal(ErrorReason.ERROR_REASON_SNAPSHOT_UNUSABLE, message);
  }

  /** As {@link SandboxMaker#make}. */
  Running make(StartOrder order, Snapshot snapshot, Slot slot, Steps steps) {
    Future<?> attached =
        executor.submit(() ->
            steps.time(
                "attach", () -> gateway.attach(order.sandbox(), slot.address(), order.ticket())));
    try {
      Machine machine = machine(order, snapshot, slot, steps);
      try {
        steps.time("resume", machine::resume);
        // Not before: what a stopped guest is sent is lost, and sent again only a second later.
        Guest guest = guests.connect(slot.link());
        try {
          return received(order, snapshot, slot, machine, guest, attached, steps);
        } catch (IOException | RuntimeException | Error e) {
          guest.close();
          throw e;
        }
      } catch (IOException | RuntimeException | Error e) {
        machine.close();
        throw e;
      }
    } catch (IOException e) {
      throw SandboxMaker.failed(order, e);
    } catch (RuntimeException e) {
      throw SandboxMaker.refusal(order, e);
    } finally {
      Tasks.settle(attached);
    }
  }

  private Machine machine(StartOrder order, Snapshot snapshot, Slot slot, Steps steps)
      throws IOException {
    Path disk = files.create(order.sandbox()).resolve(MachineSpec.DISK);
    steps.time("disk", () -> copy(snapshot.disk(), disk));
    steps.time(
        "prepare",
        () -> helper.prepareSandbox(slot.number(), order.sandbox(), List.of(MachineSpec.DISK)));
    MachineSpec spec =
        new MachineSpec(
            order.sandbox(),
            slot.number(),
            snapshot.image(),
            snapshot.size(),
            snapshot.kernelArguments());
    return snapshot.full()
        ? hypervisor.restore(spec, snapshot.id(), steps)
        : hypervisor.boot(spec, steps);
  }

  private Running received(
      StartOrder order,
      Snapshot snapshot,
      Slot slot,
      Machine machine,
      Guest guest,
      Future<?> attached,
      Steps steps)
      throws IOException {
    GuestIdentity identity =
        GuestIdentity.fresh(
            random, clock.instant(), order.sandbox(), order.environment(), order.caCertificate());
    files.writeToken(order.sandbox(), identity.token());
    steps.time("attach_wait", () -> Tasks.join(attached));
    occupants.enter(slot.number(), order.sandbox());
    steps.time(
        "guest",
        () -> {
          if (snapshot.full()) {
            guest.thaw(
                snapshot.token(),
                Freshness.of(random, clock.instant()),
                Optional.of(identity),
                RESTORED);
          } else {
            guest.configure(identity, BOOTED);
          }
        });
    return new Running(order.epoch(), slot, machine, guest, identity.token(), order.size());
  }

  private static void copy(Path source, Path target) {
    try {
      var _ = SparseFile.copyInCache(source, target);
    } catch (IOException e) {
      throw new MachineException("the disk was not copied: " + e.getMessage(), e);
    }
  }
}
