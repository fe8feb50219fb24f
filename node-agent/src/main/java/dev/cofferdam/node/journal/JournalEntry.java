package dev.cofferdam.node.journal;

import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.node.machine.ProcessId;

/**
 * The last word on a sandbox's directory and slot, written before it becomes true wherever
 * something is made or torn down: what a crash leaves behind is then always covered by an entry
 * that says so.
 */
public sealed interface JournalEntry {
  /** Whose. */
  String sandbox();

  /** Of the assignment. */
  long epoch();

  /** Something may exist from now on; nothing of it is of use yet. */
  record Claimed(String sandbox, long epoch, int slot) implements JournalEntry {}

  /** The sandbox was configured and answered for. */
  record Running(String sandbox, long epoch, int slot, ProcessId process, MachineSize size)
      implements JournalEntry {}

  /**
   * Its VM is there, but its guest may stand still: on purpose, or while something is done to it.
   *
   * @param halt why
   */
  record Halted(
      String sandbox, long epoch, int slot, ProcessId process, MachineSize size, Halt halt)
      implements JournalEntry {}

  /** Why a VM stands still, or may. */
  enum Halt {
    /** Something is done to it; then it is to go on. */
    PASSING,
    /** It was asked for, and stays so until something else is. */
    PAUSED,
    /** Its node is cut off from the scheduler; it is to go on when that is over. */
    CUT_OFF
  }

  /** It is all in its directory, durable; a VM of it that there is has not run. */
  record Suspended(String sandbox, long epoch, int slot, MachineSize size)
      implements JournalEntry {}

  /** What it is put back to lies whole beside it; what it was is to be given up. */
  record RollingBack(String sandbox, long epoch, int slot, MachineSize size)
      implements JournalEntry {}

  /** It is being torn down; whatever is left has to go. */
  record Removing(String sandbox, long epoch, int slot) implements JournalEntry {}

  /**
   * Nothing of it is left. Kept as a fence against late orders.
   *
   * @param repeatable the start failed: the same epoch may try again
   */
  record Ended(String sandbox, long epoch, boolean repeatable) implements JournalEntry {}
}
