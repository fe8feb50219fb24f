package dev.cofferdam.node.sandbox;

import dev.cofferdam.node.disk.SandboxFiles;
import dev.cofferdam.node.guest.Guest;
import dev.cofferdam.node.guest.GuestConnector;
import dev.cofferdam.node.helper.HelperException;
import dev.cofferdam.node.journal.Journal;
import dev.cofferdam.node.journal.JournalEntry;
import dev.cofferdam.node.machine.Hypervisor;
import dev.cofferdam.node.machine.Machine;
import dev.cofferdam.node.machine.MachineException;
import dev.cofferdam.node.machine.ProcessTable;
import dev.cofferdam.node.sandbox.SandboxState.Ended;
import dev.cofferdam.node.sandbox.SandboxState.Removing;
import dev.cofferdam.node.sandbox.SandboxState.Running;
import dev.cofferdam.node.slot.Slot;
import dev.cofferdam.node.slot.SlotPool;
import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.function.BiConsumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Brings what an earlier process left back to where it belongs: running, or gone. */
final class Adoption {
  private static final Logger log = LoggerFactory.getLogger(Adoption.class);

  private final Cells cells;
  private final Ending ending;
  private final Capacity capacity;
  private final Hypervisor hypervisor;
  private final SlotPool slots;
  private final GuestConnector guests;
  private final SandboxFiles files;
  private final Journal journal;
  private final ExecutorService executor;
  private final BiConsumer<String, Running> watch;

  /**
   * @param executor runs what overlaps
   * @param watch gets every sandbox that runs
   */
  Adoption(
      Cells cells,
      Ending ending,
      Capacity capacity,
      Hypervisor hypervisor,
      SlotPool slots,
      GuestConnector guests,
      SandboxFiles files,
      Journal journal,
      ExecutorService executor,
      BiConsumer<String, Running> watch) {
    this.cells = cells;
    this.ending = ending;
    this.capacity = capacity;
    this.hypervisor = hypervisor;
    this.slots = slots;
    this.guests = guests;
    this.files = files;
    this.journal = journal;
    this.executor = executor;
    this.watch = watch;
  }

  /**
   * Takes up what an earlier process left: once, before anything else. All at a time, for each of
   * them may have to wait for somebody.
   */
  void recover(ProcessTable processes) {
    Recovery plan = Recovery.plan(journal.latest(), processes, files.present());
    slots.recover(plan.slots());
    for (JournalEntry.Ended fence : plan.fences()) {
      cells.run(fence.sandbox(), cell -> cell.state = new Ended(fence.epoch(), fence.repeatable()));
    }
    List<Runnable> works = new ArrayList<>();
    plan.adopt().forEach(entry -> works.add(() -> adopt(entry)));
    plan.remove().forEach(entry -> works.add(() -> remove(entry)));
    Tasks.all(executor, works);
    for (String stray : plan.strays()) {
      try {
        files.delete(stray);
      } catch (IOException | HelperException e) {
        log.atWarn().setMessage("stray_not_deleted").addKeyValue("name", stray).setCause(e).log();
      }
    }
  }

  private void remove(JournalEntry entry) {
    cells.run(
        entry.sandbox(),
        cell -> {
          cell.state = new Removing(entry.epoch(), Recovery.slot(entry), Optional.empty());
          ending.tryAgainLater(entry.sandbox(), cell, entry instanceof JournalEntry.Claimed);
        });
  }

  /**
   * A helper that is away fails the start of this process; it does not cost anybody a running
   * sandbox.
   */
  private void adopt(JournalEntry.Running entry) {
    String sandbox = entry.sandbox();
    cells.run(
        sandbox,
        cell -> {
          try {
            String token =
                files
                    .readToken(sandbox)
                    .orElseThrow(() -> new MachineException(sandbox + " has no token"));
            Machine machine =
                hypervisor.adopt(sandbox, entry.slot(), entry.size(), entry.process());
            Slot slot = slots.adopt(entry.slot());
            Guest guest = guests.connect(slot.link());
            capacity.adopt(entry.size());
            // Nobody else was in its slot since before this process.
            Instant since = Instant.EPOCH;
            Running running =
                new Running(entry.epoch(), slot, machine, guest, token, entry.size(), since);
            cell.state = running;
            watch.accept(sandbox, running);
            log.atInfo().setMessage("sandbox_adopted").addKeyValue("sandbox", sandbox).log();
          } catch (IOException | MachineException e) {
            log.atWarn()
                .setMessage("sandbox_not_adopted")
                .addKeyValue("sandbox", sandbox)
                .setCause(e)
                .log();
            cell.state = new Removing(entry.epoch(), entry.slot(), Optional.empty());
            ending.tryAgainLater(sandbox, cell, false);
          }
        });
  }
}
