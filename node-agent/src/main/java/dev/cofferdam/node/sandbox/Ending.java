package dev.cofferdam.node.sandbox;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.node.helper.HelperException;
import dev.cofferdam.node.journal.Journal;
import dev.cofferdam.node.journal.JournalEntry;
import dev.cofferdam.node.sandbox.SandboxState.Ended;
import dev.cofferdam.node.sandbox.SandboxState.Halting;
import dev.cofferdam.node.sandbox.SandboxState.Paused;
import dev.cofferdam.node.sandbox.SandboxState.Removing;
import dev.cofferdam.node.sandbox.SandboxState.Running;
import dev.cofferdam.node.sandbox.SandboxState.Starting;
import dev.cofferdam.node.sandbox.SandboxState.Suspended;
import dev.cofferdam.v1.ErrorReason;
import java.io.IOException;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * How a sandbox's state goes from whatever it is to Ended. Everything here runs under the sandbox's
 * lock.
 */
final class Ending {
  private static final Logger log = LoggerFactory.getLogger(Ending.class);

  private final Teardown teardown;
  private final Capacity capacity;
  private final Journal journal;
  private final SandboxMetrics metrics;

  Ending(Teardown teardown, Capacity capacity, Journal journal, SandboxMetrics metrics) {
    this.teardown = teardown;
    this.capacity = capacity;
    this.journal = journal;
    this.metrics = metrics;
  }

  /** What is left is removed, if anything is. */
  void remove(String sandbox, Cells.Cell cell) {
    switch (cell.state) {
      case null -> {}
      case Ended _ -> {}
      case Starting starting ->
          throw new IllegalStateException(sandbox + " starts while its lock is held: " + starting);
      case Running running -> endLive(sandbox, cell, running);
      case Halting halting -> endLive(sandbox, cell, halting.running());
      case Paused paused -> endLive(sandbox, cell, paused.running());
      case Suspended asleep -> {
        journal.append(new JournalEntry.Removing(sandbox, asleep.epoch(), asleep.slot().number()));
        capacity.wakeAnyhow(asleep.size());
        cell.state =
            new Removing(asleep.epoch(), asleep.slot().number(), Optional.of(asleep.size()));
        tearDown(sandbox, cell, false);
      }
      case Removing _ -> tearDown(sandbox, cell, false);
    }
  }

  private void endLive(String sandbox, Cells.Cell cell, Running running) {
    journal.append(new JournalEntry.Removing(sandbox, running.epoch(), running.slot().number()));
    letGo(cell, running, "it was removed");
    tearDown(sandbox, cell, false);
  }

  /**
   * Of a sandbox whose VM ended by itself. It is let go of first: whatever fails afterwards,
   * nothing is relayed to it any more, and a later sweep finds it.
   */
  void lost(String sandbox, Cells.Cell cell, Running running, String why) {
    letGo(cell, running, why);
    logged(
        sandbox,
        () -> {
          journal.append(
              new JournalEntry.Removing(sandbox, running.epoch(), running.slot().number()));
          tearDown(sandbox, cell, false);
        });
  }

  private static void letGo(Cells.Cell cell, Running running, String why) {
    cell.state =
        new Removing(running.epoch(), running.slot().number(), Optional.of(running.size()));
    running.guest().end(why);
    running.machine().close();
  }

  /** What fails is logged; the state stays Removing, and a later sweep finds it. */
  void tryAgainLater(String sandbox, Cells.Cell cell, boolean repeatable) {
    logged(sandbox, () -> tearDown(sandbox, cell, repeatable));
  }

  private static void logged(String sandbox, Runnable removal) {
    try {
      removal.run();
    } catch (RuntimeException e) {
      log.atWarn()
          .setMessage("sandbox_not_removed")
          .addKeyValue("sandbox", sandbox)
          .setCause(e)
          .log();
    }
  }

  private void tearDown(String sandbox, Cells.Cell cell, boolean repeatable) {
    if (!(cell.state instanceof Removing removing)) {
      throw new IllegalStateException(sandbox + " is not being removed: " + cell.state);
    }
    try {
      teardown.run(sandbox, removing.epoch(), removing.slot(), repeatable);
    } catch (IOException | HelperException e) {
      Refusal refusal =
          new Refusal(
              ErrorReason.ERROR_REASON_INTERNAL,
              sandbox + " is not removed yet: " + e.getMessage() + "; it is tried again");
      refusal.initCause(e);
      throw refusal;
    }
    removing.reserved().ifPresent(capacity::release);
    cell.state = new Ended(removing.epoch(), repeatable);
    metrics.ended();
    log.atInfo()
        .setMessage("sandbox_removed")
        .addKeyValue("sandbox", sandbox)
        .addKeyValue("epoch", removing.epoch())
        .log();
  }
}
