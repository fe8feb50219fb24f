package dev.cofferdam.node.sandbox;

import dev.cofferdam.node.disk.SandboxFiles;
import dev.cofferdam.node.helper.HelperException;
import dev.cofferdam.node.helper.NodeHelper;
import dev.cofferdam.node.journal.Journal;
import dev.cofferdam.node.journal.JournalEntry;
import dev.cofferdam.node.journal.JournalEntry.Halt;
import dev.cofferdam.node.machine.Machine;
import dev.cofferdam.node.machine.MachineException;
import dev.cofferdam.node.machine.MachineSpec;
import dev.cofferdam.node.machine.Steps;
import dev.cofferdam.node.sandbox.SandboxState.Halting;
import dev.cofferdam.node.sandbox.SandboxState.Paused;
import dev.cofferdam.node.sandbox.SandboxState.Running;
import dev.cofferdam.node.sandbox.SandboxState.Suspended;
import java.io.IOException;
import java.nio.file.Path;
import java.util.function.BiConsumer;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Takes a sandbox from one of running, paused and suspended to another. Everything here runs under
 * the sandbox's lock, and what fails leaves it as it was, or paused.
 *
 * <p>What a crash leaves is covered by the journal: from the first stop to the last go-on it says
 * that the VM may stand still, and that the sandbox is asleep only once all of it is durable. The
 * files that a sandbox woke from stay until its guest has answered.
 */
final class Sleeper {
  private static final Logger log = LoggerFactory.getLogger(Sleeper.class);

  private final NodeHelper helper;
  private final SandboxFiles files;
  private final Profiles profiles;
  private final Capacity capacity;
  private final Journal journal;
  private final Standstill standstill;
  private final Waking waking;
  private final Admission admission;
  private final BiConsumer<String, Running> watch;

  /**
   * @param admission is asked before one that sleeps is brought back into memory
   * @param watch gets every sandbox that has another machine than before
   */
  Sleeper(
      NodeHelper helper,
      SandboxFiles files,
      Profiles profiles,
      Capacity capacity,
      Journal journal,
      Standstill standstill,
      Waking waking,
      Admission admission,
      BiConsumer<String, Running> watch) {
    this.helper = helper;
    this.files = files;
    this.profiles = profiles;
    this.capacity = capacity;
    this.journal = journal;
    this.standstill = standstill;
    this.waking = waking;
    this.admission = admission;
    this.watch = watch;
  }

  /** Its connections stay: who speaks with it does not hear from it meanwhile. */
  void pause(String sandbox, Cells.Cell cell, Running running, Halt halt, Steps steps) {
    journal.note(halted(sandbox, running, halt));
    try {
      steps.time("pause", running.machine()::pause);
    } catch (RuntimeException | Error e) {
      journal.note(entry(sandbox, running));
      throw e;
    }
    cell.state = new Paused(running, false, halt == Halt.CUT_OFF);
  }

  /** From now on it stands still because somebody wants it so, whatever it was paused for. */
  void stayPaused(String sandbox, Cells.Cell cell, Paused paused) {
    if (paused.cutOff()) {
      journal.note(halted(sandbox, paused.running(), Halt.PAUSED));
      cell.state = new Paused(paused.running(), paused.frozen(), false);
    }
  }

  void resume(String sandbox, Cells.Cell cell, Paused paused, Steps steps) {
    cell.state = new Halting(paused.running());
    try {
      Running running;
      if (paused.frozen()) {
        running = standstill.goOn(paused.running(), steps);
      } else {
        steps.time("resume", paused.running().machine()::resume);
        running = standstill.thaw(paused.running(), steps);
      }
      journal.note(entry(sandbox, running));
      cell.state = running;
    } catch (RuntimeException | Error e) {
      hold(cell, paused.running(), paused.cutOff(), e);
      throw e;
    }
  }

  /**
   * Of one that runs or is paused.
   *
   * @param unless looked at once nobody is let through to it any more: true keeps it as it is
   * @return whether it sleeps
   */
  boolean suspend(String sandbox, Cells.Cell cell, BooleanSupplier unless, Steps steps) {
    SandboxState before = cell.state;
    Running running = SandboxState.live(before).orElseThrow();
    cell.state = new Halting(running);
    if (unless.getAsBoolean()) {
      cell.state = before;
      return false;
    }
    Halt halt = halt(before);
    try {
      journal.note(halted(sandbox, running, halt));
    } catch (RuntimeException | Error e) {
      cell.state = before;
      throw e;
    }
    try {
      // What cannot be made again must not fall asleep.
      var _ = profiles.read(sandbox);
      if (before instanceof Paused still) {
        standstill.stop(still, steps);
      } else {
        standstill.stop(running, steps);
      }
      keep(sandbox, running, steps);
      journal.append(
          new JournalEntry.Suspended(
              sandbox, running.epoch(), running.slot().number(), running.size()));
    } catch (RuntimeException | Error e) {
      back(sandbox, cell, running, halt, e);
      throw e;
    }
    cell.state = new Suspended(running.epoch(), running.slot(), running.token(), running.size());
    running.guest().end("it was suspended");
    end(sandbox, running, steps);
    capacity.sleep(running.size());
    return true;
  }

  /** A VMM that stays is ended before the sandbox wakes; it does nothing until then. */
  static void end(String sandbox, Running running, Steps steps) {
    try {
      steps.time("stop", running.machine()::stop);
    } catch (HelperException e) {
      running.machine().close();
      log.atWarn().setMessage("vmm_not_stopped").addKeyValue("sandbox", sandbox).setCause(e).log();
    }
  }

  private void keep(String sandbox, Running running, Steps steps) {
    Path own = files.directory(sandbox);
    waking.forget(sandbox);
    steps.time("snapshot", () -> running.machine().snapshot(own));
    steps.time(
        "sync",
        () -> {
          try {
            // A volume is the guest's to sync, and it did.
            files.sync(sandbox, waking.withDisk(sandbox, MachineSpec.RAM, MachineSpec.STATE));
          } catch (IOException e) {
            throw new MachineException(sandbox + " is not durable: " + e.getMessage(), e);
          }
        });
  }

  /** After what was begun with a sandbox that stood still, or began to, has failed. */
  void back(String sandbox, Cells.Cell cell, Running running, Halt halt, Throwable cause) {
    if (halt != Halt.PASSING) {
      hold(cell, running, halt == Halt.CUT_OFF, cause);
      return;
    }
    try {
      Running again = standstill.goOn(running, new Steps(System::nanoTime));
      journal.note(entry(sandbox, again));
      cell.state = again;
    } catch (RuntimeException | Error e) {
      cause.addSuppressed(e);
      hold(cell, running, false, cause);
    }
  }

  /** Paused, whatever it was: it can be resumed again. */
  private static void hold(Cells.Cell cell, Running running, boolean cutOff, Throwable cause) {
    cell.state = new Paused(running, true, cutOff);
    try {
      running.guest().close();
      running.machine().pause();
    } catch (MachineException e) {
      cause.addSuppressed(e);
    }
  }

  /**
   * @throws dev.cofferdam.kit.error.Refusal NO_CAPACITY, and it sleeps on
   */
  void wake(String sandbox, Cells.Cell cell, Suspended asleep, Steps steps) {
    admission.admit();
    bringBack(sandbox, cell, asleep, steps);
  }

  /**
   * The same for one that was awake a moment ago: its host has room for it.
   *
   * @throws dev.cofferdam.kit.error.Refusal NO_CAPACITY, and it sleeps on
   */
  void bringBack(String sandbox, Cells.Cell cell, Suspended asleep, Steps steps) {
    capacity.wake(asleep.size());
    try {
      steps.time("clear", () -> helper.stopVmm(asleep.slot().number()));
      settle(sandbox);
      boolean cold = waking.cold(sandbox);
      Running running =
          cold ? waking.boot(sandbox, asleep, steps) : waking.load(sandbox, asleep, steps);
      watch.accept(sandbox, running);
      if (!cold) {
        running = thaw(sandbox, cell, running, steps);
      }
      journal.note(entry(sandbox, running));
      cell.state = running;
    } catch (RuntimeException | Error e) {
      if (cell.state instanceof Suspended) {
        capacity.sleep(asleep.size());
      }
      throw e;
    }
    waking.forget(sandbox);
  }

  /** What a roll-back began. */
  private void settle(String sandbox) {
    try {
      waking.settle(sandbox);
    } catch (IOException e) {
      throw new MachineException(sandbox + " was not put back: " + e.getMessage(), e);
    }
  }

  /** From here on it is what runs, and no more what lies in the files. */
  private Running thaw(String sandbox, Cells.Cell cell, Running running, Steps steps) {
    try {
      journal.append(halted(sandbox, running, Halt.PASSING));
    } catch (RuntimeException | Error e) {
      running.guest().close();
      running.machine().stop();
      throw e;
    }
    cell.state = new Halting(running);
    try {
      return standstill.thaw(running, steps);
    } catch (RuntimeException | Error e) {
      hold(cell, running, false, e);
      throw e;
    }
  }

  /** What stands still before something is done to it does so afterwards, for the same reason. */
  static Halt halt(@Nullable SandboxState before) {
    if (before instanceof Paused paused) {
      return paused.cutOff() ? Halt.CUT_OFF : Halt.PAUSED;
    }
    return Halt.PASSING;
  }

  static JournalEntry.Running entry(String sandbox, Running running) {
    Machine machine = running.machine();
    return new JournalEntry.Running(
        sandbox, running.epoch(), running.slot().number(), machine.process(), running.size());
  }

  static JournalEntry.Halted halted(String sandbox, Running running, Halt halt) {
    return new JournalEntry.Halted(
        sandbox,
        running.epoch(),
        running.slot().number(),
        running.machine().process(),
        running.size(),
        halt);
  }
}
