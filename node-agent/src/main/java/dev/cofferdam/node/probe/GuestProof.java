package dev.cofferdam.node.probe;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.node.disk.SandboxFiles;
import dev.cofferdam.node.disk.SparseFile;
import dev.cofferdam.node.guest.Guest;
import dev.cofferdam.node.guest.GuestConnector;
import dev.cofferdam.node.helper.HelperException;
import dev.cofferdam.node.helper.NodeHelper;
import dev.cofferdam.node.image.Image;
import dev.cofferdam.node.machine.Hypervisor;
import dev.cofferdam.node.machine.Machine;
import dev.cofferdam.node.machine.MachineException;
import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.node.machine.MachineSpec;
import dev.cofferdam.node.machine.Steps;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Boots a guest and waits until its agent answers. Nothing is left of it. */
public final class GuestProof {
  private static final Logger log = LoggerFactory.getLogger(GuestProof.class);

  /** Of a sandbox that nobody asked for; those have 20 letters. */
  private static final String SANDBOX = "sb-proof";

  private static final int SLOT = 1;
  private static final int MEMORY_MIB = 256;

  /** On hardware it takes about a second. A node that has to emulate waits that long once. */
  private static final Duration BOOT = Duration.ofSeconds(20);

  private final NodeHelper helper;
  private final SandboxFiles files;
  private final GuestConnector guests;
  private final LongSupplier nanos;
  private final Duration patience;

  /**
   * @param nanos a clock that never goes back
   */
  public GuestProof(
      NodeHelper helper, SandboxFiles files, GuestConnector guests, LongSupplier nanos) {
    this(helper, files, guests, nanos, BOOT);
  }

  /**
   * @param patience for the guest's boot, from its first instruction on
   */
  public GuestProof(
      NodeHelper helper,
      SandboxFiles files,
      GuestConnector guests,
      LongSupplier nanos,
      Duration patience) {
    this.helper = helper;
    this.files = files;
    this.guests = guests;
    this.nanos = nanos;
    this.patience = patience;
  }

  /**
   * While no sandbox lives: it takes the first slot.
   *
   * @return how it went, for an operator
   * @throws MachineException when no agent answered
   */
  public String boot(Hypervisor hypervisor, Image image) {
    long begin = nanos.getAsLong();
    try {
      // What an earlier process did not come to remove.
      helper.destroySlot(SLOT);
      files.delete(SANDBOX);
      Path directory = files.create(SANDBOX);
      Path disk = directory.resolve(MachineSpec.DISK);
      try (FileChannel channel = SparseFile.create(disk, Files.size(image.disk()))) {
        SparseFile.copy(image.disk(), SparseFile.extents(image.disk()), channel);
      }
      Path link = helper.createSlot(SLOT).link();
      helper.prepareSandbox(SLOT, SANDBOX, List.of(MachineSpec.DISK));
      answered(hypervisor, image, link);
      return "a guest answered %d ms after its VMM was asked for"
          .formatted((nanos.getAsLong() - begin) / 1_000_000);
    } catch (Refusal e) {
      throw new MachineException("no agent answered within " + patience, e);
    } catch (IOException | HelperException e) {
      throw new MachineException("the guest was not prepared: " + e.getMessage(), e);
    } finally {
      clear();
    }
  }

  private void answered(Hypervisor hypervisor, Image image, Path link) {
    MachineSpec spec =
        new MachineSpec(
            SANDBOX,
            SLOT,
            image.digest(),
            new MachineSize(1, MEMORY_MIB, image.diskMib()),
            image.kernelArguments());
    Machine machine = hypervisor.boot(spec, new Steps(nanos));
    try (Guest guest = guests.connect(link)) {
      machine.resume();
      var _ = guest.connected(patience);
    } finally {
      machine.stop();
    }
  }

  private void clear() {
    try {
      helper.destroySlot(SLOT);
      files.delete(SANDBOX);
    } catch (IOException | HelperException e) {
      log.atWarn().setMessage("proof_not_removed").setCause(e).log();
    }
  }
}
