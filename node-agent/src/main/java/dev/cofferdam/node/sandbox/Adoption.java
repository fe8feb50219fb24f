package dev.cofferdam.node.sandbox;

import dev.cofferdam.node.disk.SandboxFiles;
import dev.cofferdam.node.guest.Guest;
import dev.cofferdam.node.guest.GuestConnector;
import dev.cofferdam.node.guest.GuestException;
import dev.cofferdam.node.helper.HelperException;
import dev.cofferdam.node.helper.NodeHelper;
import dev.cofferdam.node.journal.Journal;
import dev.cofferdam.node.journal.JournalEntry;
import dev.cofferdam.node.journal.JournalEntry.Halt;
import dev.cofferdam.node.machine.Hypervisor;
import dev.cofferdam.node.machine.Machine;
import dev.cofferdam.node.machine.MachineException;
import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.node.machine.ProcessId;
import dev.cofferdam.node.machine.ProcessTable;
import dev.cofferdam.node.machine.Steps;
import dev.cofferdam.node.sandbox.SandboxState.Ended;
import dev.cofferdam.node.sandbox.SandboxState.Paused;
import dev.cofferdam.node.sandbox.SandboxState.Removing;
import dev.cofferdam.node.sandbox.SandboxState.Running;
import dev.cofferdam.node.sandbox.SandboxState.Suspended;
import dev.cofferdam.node.slot.Slot;
import dev.cofferdam.node.slot.SlotPool;
import java.io.IOException;
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
  private final NodeHelper helper;
  private final Standstill standstill;
  private final Waking waking;
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
      NodeHelper helper,
      Standstill standstill,
      Waking waking,
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
    this.helper = helper;
    this.standstill = standstill;
    this.waking = waking;
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
    plan.goOn().forEach(entry -> works.add(() -> goOn(entry)));
    plan.asleep().forEach(entry -> works.add(() -> sleepOn(entry)));
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
    take(
        entry,
        cell -> {
          Running running =
              adopted(entry.sandbox(), entry.epoch(), entry.slot(), entry.size(), entry.process());
          cell.state = running;
          watch.accept(entry.sandbox(), running);
        });
  }

  /**
   * Whatever was being done to it is not. One that was paused is, for the same reason; its guest
   * may be stopped or not, and goes on either way when it is resumed.
   */
  private void goOn(JournalEntry.Halted entry) {
    String sandbox = entry.sandbox();
    take(
        entry,
        cell -> {
          Running running =
              adopted(sandbox, entry.epoch(), entry.slot(), entry.size(), entry.process());
          cell.state = new Paused(running, true, entry.halt() == Halt.CUT_OFF);
          watch.accept(sandbox, running);
          if (entry.halt() != Halt.PASSING) {
            running.guest().close();
            running.machine().pause();
            return;
          }
          running.machine().resume();
          Running again = standstill.thaw(running, new Steps(System::nanoTime));
          journal.append(Sleeper.entry(sandbox, again));
          cell.state = again;
          waking.forget(sandbox);
        });
  }

  /** Also after the host itself was away: its slot is made again. */
  private void sleepOn(JournalEntry entry) {
    String sandbox = entry.sandbox();
    take(
        entry,
        cell -> {
          MachineSize size;
          switch (entry) {
            case JournalEntry.Suspended suspended -> {
              waking.unstage(sandbox);
              size = suspended.size();
            }
            case JournalEntry.RollingBack back -> size = back.size();
            case JournalEntry.Claimed _,
                JournalEntry.Running _,
                JournalEntry.Halted _,
                JournalEntry.Removing _,
                JournalEntry.Ended _ ->
                throw new IllegalArgumentException(sandbox + " does not sleep: " + entry);
          }
          Slot slot = slots.adopt(Recovery.slot(entry), sandbox);
          // One that was to wake it, or that it fell asleep in: it has not run since.
          var _ = helper.stopVmm(slot.number());
          if (entry instanceof JournalEntry.RollingBack) {
            waking.settle(sandbox);
            journal.append(new JournalEntry.Suspended(sandbox, entry.epoch(), slot.number(), size));
          }
          capacity.adopt(size);
          capacity.sleep(size);
          cell.state = new Suspended(entry.epoch(), slot, token(sandbox), size);
        });
  }

  /** What puts an entry's sandbox where it belongs. */
  @FunctionalInterface
  private interface Taking {
    void run(Cells.Cell cell) throws IOException;
  }

  private void take(JournalEntry entry, Taking taking) {
    String sandbox = entry.sandbox();
    cells.run(
        sandbox,
        cell -> {
          try {
            taking.run(cell);
            log.atInfo()
                .setMessage("sandbox_adopted")
                .addKeyValue("sandbox", sandbox)
                .addKeyValue("state", String.valueOf(cell.state))
                .log();
          } catch (GuestException e) {
            // Its machine is there: it stays as it is, paused, for another try.
            log.atWarn()
                .setMessage("sandbox_does_not_go_on")
                .addKeyValue("sandbox", sandbox)
                .setCause(e)
                .log();
          } catch (IOException | MachineException e) {
            log.atWarn()
                .setMessage("sandbox_not_adopted")
                .addKeyValue("sandbox", sandbox)
                .setCause(e)
                .log();
            cell.state = new Removing(entry.epoch(), Recovery.slot(entry), Optional.empty());
            ending.tryAgainLater(sandbox, cell, false);
          }
        });
  }

  private Running adopted(
      String sandbox, long epoch, int number, MachineSize size, ProcessId process)
      throws IOException {
    String token = token(sandbox);
    Machine machine = hypervisor.adopt(sandbox, number, size, process);
    waking.unstage(sandbox);
    Slot slot = slots.adopt(number, sandbox);
    Guest guest = guests.connect(slot.link());
    capacity.adopt(size);
    return new Running(epoch, slot, machine, guest, token, size);
  }

  private String token(String sandbox) throws IOException {
    return files
        .readToken(sandbox)
        .orElseThrow(() -> new MachineException(sandbox + " has no token"));
  }
}
