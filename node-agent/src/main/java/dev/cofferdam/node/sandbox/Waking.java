package dev.cofferdam.node.sandbox;

import dev.cofferdam.node.disk.SandboxFiles;
import dev.cofferdam.node.disk.SparseFile;
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
import dev.cofferdam.node.sandbox.SandboxState.Suspended;
import dev.cofferdam.node.snapshot.Snapshot;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.random.RandomGenerator;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Makes the machine of a sandbox again, out of what lies in the sandbox's directory. */
final class Waking {
  private static final Logger log = LoggerFactory.getLogger(Waking.class);

  /** A guest that was loaded answers within 300 ms; this is for a machine under load. */
  private static final Duration LOADED = Duration.ofSeconds(20);

  private static final Duration BOOTED = Duration.ofSeconds(60);

  private static final List<String> PARTS =
      List.of(MachineSpec.RAM, MachineSpec.STATE, MachineSpec.DISK);

  /** What a part is called while it is not in force yet. */
  private static final String STAGED = ".back";

  private final NodeHelper helper;
  private final Hypervisor hypervisor;
  private final SandboxFiles files;
  private final Profiles profiles;
  private final GuestConnector guests;
  private final InstantSource clock;
  private final RandomGenerator random;

  Waking(
      NodeHelper helper,
      Hypervisor hypervisor,
      SandboxFiles files,
      Profiles profiles,
      GuestConnector guests,
      InstantSource clock,
      RandomGenerator random) {
    this.helper = helper;
    this.hypervisor = hypervisor;
    this.files = files;
    this.profiles = profiles;
    this.guests = guests;
    this.clock = clock;
    this.random = random;
  }

  /** Its guest can be reached, and is stopped as it was. */
  Running load(String sandbox, Suspended asleep, Steps steps) {
    prepare(sandbox, asleep, withDisk(sandbox, MachineSpec.RAM), steps);
    Machine machine = hypervisor.wake(spec(sandbox, asleep), steps);
    return attended(
        machine,
        asleep,
        asleep.token(),
        guest -> {
          steps.time("guest", () -> guest.connected(LOADED));
        });
  }

  /** It starts from its disk, with another token. */
  Running boot(String sandbox, Suspended asleep, Steps steps) {
    prepare(sandbox, asleep, withDisk(sandbox), steps);
    Profile profile = profiles.read(sandbox);
    GuestIdentity identity =
        GuestIdentity.fresh(
            random,
            clock.instant(),
            sandbox,
            profile.environment(),
            profile.caCertificate(),
            Mounts.points(profile.volumes()));
    Machine machine = hypervisor.boot(spec(sandbox, asleep), steps);
    return attended(
        machine,
        asleep,
        identity.token(),
        guest -> {
          files.writeToken(sandbox, identity.token());
          steps.time("guest", () -> guest.configure(identity, BOOTED));
        });
  }

  /** Files of its directory: these, and its disk where that is one of them. */
  List<String> withDisk(String sandbox, String... files) {
    List<String> all = new ArrayList<>(List.of(files));
    if (profiles.hasOwnDisk(sandbox)) {
      all.add(MachineSpec.DISK);
    }
    return all;
  }

  /** What it woke from, or was put back to, is of no more use; a VMM that has it keeps it. */
  void forget(String sandbox) {
    try {
      Files.deleteIfExists(files.directory(sandbox).resolve(MachineSpec.STATE));
      Files.deleteIfExists(files.directory(sandbox).resolve(MachineSpec.RAM));
    } catch (IOException e) {
      log.atWarn()
          .setMessage("sleep_not_forgotten")
          .addKeyValue("sandbox", sandbox)
          .setCause(e)
          .log();
    }
  }

  /** Whether it has no memory, and boots when it wakes. */
  boolean cold(String sandbox) {
    Path state = files.directory(sandbox).resolve(MachineSpec.STATE);
    try {
      return !Files.exists(state, LinkOption.NOFOLLOW_LINKS) || Files.size(state) == 0;
    } catch (IOException e) {
      throw new MachineException(sandbox + " cannot be looked at: " + e.getMessage(), e);
    }
  }

  /** Lays a snapshot beside what the sandbox is, durable. A state of no bytes is that of none. */
  void stage(String sandbox, Snapshot snapshot, Steps steps) throws IOException {
    Path own = files.directory(sandbox);
    for (String part : snapshot.full() ? PARTS : List.of(MachineSpec.DISK)) {
      Path staged = own.resolve(part + STAGED);
      steps.time(
          "stage",
          () -> {
            try {
              var _ = SparseFile.copyInCache(snapshot.directory().resolve(part), staged);
              SparseFile.sync(staged);
            } catch (IOException e) {
              throw new MachineException(part + " was not copied: " + e.getMessage(), e);
            }
          });
    }
    if (!snapshot.full()) {
      SparseFile.create(own.resolve(MachineSpec.STATE + STAGED), 0).close();
    }
    SparseFile.sync(own);
  }

  /** Nothing is staged any more. */
  void unstage(String sandbox) throws IOException {
    for (String part : PARTS) {
      Files.deleteIfExists(files.directory(sandbox).resolve(part + STAGED));
    }
  }

  /** Puts what is staged in place of what was. Repeatable: each part for itself. */
  void settle(String sandbox) throws IOException {
    Path own = files.directory(sandbox);
    for (String part : PARTS) {
      Path staged = own.resolve(part + STAGED);
      if (Files.exists(staged, LinkOption.NOFOLLOW_LINKS)) {
        Files.move(
            staged,
            own.resolve(part),
            StandardCopyOption.ATOMIC_MOVE,
            StandardCopyOption.REPLACE_EXISTING);
      }
    }
    SparseFile.sync(own);
  }

  @FunctionalInterface
  private interface Reception {
    void run(Guest guest) throws IOException;
  }

  private Running attended(Machine machine, Suspended asleep, String token, Reception reception) {
    try {
      machine.resume();
      // Not before: what a stopped guest is sent is lost, and sent again only a second later.
      Guest guest = guests.connect(asleep.slot().link());
      try {
        reception.run(guest);
        return new Running(asleep.epoch(), asleep.slot(), machine, guest, token, asleep.size());
      } catch (IOException e) {
        guest.close();
        throw new MachineException("the guest was not received: " + e.getMessage(), e);
      } catch (RuntimeException | Error e) {
        guest.close();
        throw e;
      }
    } catch (RuntimeException e) {
      try {
        machine.stop();
      } catch (RuntimeException left) {
        e.addSuppressed(left);
      }
      throw e;
    }
  }

  private void prepare(String sandbox, Suspended asleep, List<String> parts, Steps steps) {
    steps.time("prepare", () -> helper.prepareSandbox(asleep.slot().number(), sandbox, parts));
  }

  private MachineSpec spec(String sandbox, Suspended asleep) {
    return profiles.spec(sandbox, asleep.slot().number(), asleep.size());
  }
}
