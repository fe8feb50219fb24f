package dev.cofferdam.node.sandbox;

import dev.cofferdam.node.disk.SandboxFiles;
import dev.cofferdam.node.helper.HelperException;
import dev.cofferdam.node.helper.NodeHelper;
import dev.cofferdam.node.journal.Journal;
import dev.cofferdam.node.journal.JournalEntry;
import dev.cofferdam.node.slot.SlotPool;
import dev.cofferdam.node.slot.SlotPrefix;
import java.io.IOException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Takes away everything of a sandbox: after a removal, a failed start, the end of its VM or a crash
 * of ours, always the same way. Every act may be repeated.
 *
 * <p>The slot goes last, after the journal knows that the sandbox has ended: otherwise a crash in
 * between would leave an entry that claims a slot in which another sandbox runs by then. A slot
 * that is left over is found by its being nobody's.
 */
public final class Teardown {
  private static final Logger log = LoggerFactory.getLogger(Teardown.class);

  private final NodeHelper helper;
  private final SlotPool slots;
  private final SlotPrefix prefix;
  private final SandboxFiles files;
  private final Gateway gateway;
  private final Journal journal;
  private final ExecutorService executor;

  public Teardown(
      NodeHelper helper,
      SlotPool slots,
      SlotPrefix prefix,
      SandboxFiles files,
      Gateway gateway,
      Journal journal,
      ExecutorService executor) {
    this.helper = helper;
    this.slots = slots;
    this.prefix = prefix;
    this.files = files;
    this.gateway = gateway;
    this.journal = journal;
    this.executor = executor;
  }

  /**
   * @param repeatable whether the same epoch may start it again
   * @throws HelperException when the VMM could not be stopped
   * @throws IOException when files are left; in both cases nothing is said to have ended, and this
   *     is to be called again
   */
  void run(String sandbox, long epoch, int slot, boolean repeatable) throws IOException {
    CompletableFuture<Void> detached =
        CompletableFuture.runAsync(() -> detach(sandbox, epoch, slot), executor);
    try {
      var _ = helper.stopVmm(slot);
    } finally {
      detached.join();
    }
    files.delete(sandbox);
    journal.append(new JournalEntry.Ended(sandbox, epoch, repeatable));
    try {
      slots.release(slot);
    } catch (HelperException e) {
      log.atWarn().setMessage("slot_not_released").addKeyValue("slot", slot).setCause(e).log();
    }
  }

  /**
   * A gateway that is away does not hold back a removal: without its slot nothing of the sandbox
   * can leave, and the gateway learns of the end from the broker.
   */
  private void detach(String sandbox, long epoch, int slot) {
    try {
      gateway.detach(sandbox, prefix.address(slot), epoch);
    } catch (RuntimeException e) {
      log.atWarn()
          .setMessage("gateway_not_detached")
          .addKeyValue("sandbox", sandbox)
          .addKeyValue("cause", e.getMessage())
          .log();
    }
  }
}
