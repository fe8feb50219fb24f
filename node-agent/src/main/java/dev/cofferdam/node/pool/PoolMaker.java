package dev.cofferdam.node.pool;

import dev.cofferdam.kit.call.RandomLetters;
import dev.cofferdam.node.disk.SandboxFiles;
import dev.cofferdam.node.disk.SparseFile;
import dev.cofferdam.node.guest.Guest;
import dev.cofferdam.node.guest.GuestConnector;
import dev.cofferdam.node.guest.GuestIdentity;
import dev.cofferdam.node.helper.HelperException;
import dev.cofferdam.node.helper.NodeHelper;
import dev.cofferdam.node.machine.Hypervisor;
import dev.cofferdam.node.machine.Machine;
import dev.cofferdam.node.machine.MachineSpec;
import dev.cofferdam.node.machine.Steps;
import dev.cofferdam.node.slot.Slot;
import dev.cofferdam.node.slot.SlotPool;
import dev.cofferdam.node.template.Template;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.InstantSource;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.LongSupplier;
import java.util.random.RandomGenerator;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Makes what the pool holds, and takes it away. Safe for use by several threads. */
public final class PoolMaker {
  private static final Logger log = LoggerFactory.getLogger(PoolMaker.class);
  private static final Duration PATIENCE = Duration.ofSeconds(20);

  /**
   * What is rehearsed: a shell, programs that it starts, a pipe between them, an environment that
   * is read. Under emulation the first run translates the code, the second one links it together.
   */
  private static final List<String> REHEARSAL =
      List.of("/bin/sh", "-c", "echo \"$PATH\" | /bin/cat; /bin/echo ready");

  private static final int REHEARSALS = 2;

  /** A P-256 root has about so many. */
  private static final int CERTIFICATE_BYTES = 450;

  private final NodeHelper helper;
  private final Hypervisor hypervisor;
  private final SlotPool slots;
  private final SandboxFiles files;
  private final GuestConnector guests;
  private final InstantSource clock;
  private final RandomGenerator random;
  private final LongSupplier nanos;

  public PoolMaker(
      NodeHelper helper,
      Hypervisor hypervisor,
      SlotPool slots,
      SandboxFiles files,
      GuestConnector guests,
      InstantSource clock,
      RandomGenerator random,
      LongSupplier nanos) {
    this.helper = helper;
    this.hypervisor = hypervisor;
    this.slots = slots;
    this.files = files;
    this.guests = guests;
    this.clock = clock;
    this.random = random;
    this.nanos = nanos;
  }

  /**
   * A VMM that waits for the template's state.
   *
   * @return empty when every slot is taken
   */
  Optional<Pooled.Waiting> start(Template template) throws IOException {
    Optional<Slot> slot = slots.claim();
    if (slot.isEmpty()) {
      return Optional.empty();
    }
    String name = name();
    try {
      Path disk = files.create(name).resolve(MachineSpec.DISK);
      try (FileChannel channel = SparseFile.create(disk, Files.size(template.disk()))) {
        SparseFile.copy(template.disk(), template.diskExtents(), channel);
      }
      helper.prepareSandbox(slot.get().number(), name, List.of(MachineSpec.DISK));
      MachineSpec spec =
          new MachineSpec(
              name,
              slot.get().number(),
              template.image().digest(),
              template.size(),
              template.image().kernelArguments());
      return Optional.of(
          new Pooled.Waiting(
              name,
              slot.get(),
              template,
              hypervisor.prepare(spec, template.name(), new Steps(nanos))));
    } catch (IOException | RuntimeException | Error e) {
      clear(name, slot.get());
      throw e;
    }
  }

  /** What fails leaves nothing of it. */
  Pooled.Restored restore(Pooled.Waiting waiting) {
    try {
      Machine machine = waiting.machine().load(new Steps(nanos));
      try {
        machine.resume();
        Guest guest = guests.connect(waiting.slot().link());
        try {
          for (int run = 0; run < REHEARSALS; run++) {
            guest.rehearse(nobody(waiting.name()), rehearsal(waiting.template()), PATIENCE);
          }
          machine.pause();
          return new Pooled.Restored(
              waiting.name(), waiting.slot(), waiting.template(), machine, guest);
        } catch (RuntimeException | Error e) {
          guest.close();
          throw e;
        }
      } catch (RuntimeException | Error e) {
        machine.close();
        throw e;
      }
    } catch (RuntimeException | Error e) {
      waiting.machine().close();
      clear(waiting.name(), waiting.slot());
      throw e;
    }
  }

  /**
   * An image that names nothing to run ahead is a tenant's: who knows what its shell is, and
   * whether it has one.
   */
  private static List<String> rehearsal(Template template) {
    return template.image().warmUp().isEmpty() ? List.of() : REHEARSAL;
  }

  /** Of the size that a sandbox's is; it is good for nothing. */
  private GuestIdentity nobody(String name) {
    byte[] certificate = new byte[CERTIFICATE_BYTES];
    String pem =
        "-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n"
            .formatted(Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(certificate));
    return GuestIdentity.fresh(
        random, clock.instant(), name, Map.of("REHEARSAL", "1".repeat(64)), pem);
  }

  /** Leaves nothing of it. Quiet about failures: what is left is found by being nobody's. */
  void discard(Pooled pooled) {
    switch (pooled) {
      case Pooled.Waiting waiting -> waiting.machine().close();
      case Pooled.Restored restored -> {
        restored.guest().end("it is discarded");
        restored.machine().close();
      }
    }
    clear(pooled.name(), pooled.slot());
  }

  private void clear(String name, Slot slot) {
    try {
      slots.release(slot.number());
    } catch (HelperException e) {
      log.atWarn()
          .setMessage("slot_not_released")
          .addKeyValue("slot", slot.number())
          .setCause(e)
          .log();
    }
    try {
      files.delete(name);
    } catch (IOException | HelperException e) {
      log.atWarn().setMessage("files_not_deleted").addKeyValue("name", name).setCause(e).log();
    }
  }

  /** As a sandbox's, so that all that is keyed by one works. */
  private String name() {
    return "sb-" + RandomLetters.next(20, random);
  }
}
