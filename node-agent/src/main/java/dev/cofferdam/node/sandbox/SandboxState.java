package dev.cofferdam.node.sandbox;

import dev.cofferdam.node.guest.Guest;
import dev.cofferdam.node.machine.Machine;
import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.node.slot.Slot;
import java.time.Instant;
import java.util.Optional;

/**
 * Where a sandbox is in its life on this node:
 *
 * <pre>
 *            start                 answered             remove, VM lost
 *  (unknown) ─────> Starting ─────────────────> Running ───────────────> Removing ──────> Ended
 *                      │ failed, undone                                     ▲  │ not yet     │
 *                      └───────────────> Ended (repeatable)                 └──┘ again       │
 *                                                                    a higher epoch starts anew
 * </pre>
 */
sealed interface SandboxState {
  long epoch();

  /** Being made by the thread that holds the sandbox's lock. */
  record Starting(long epoch) implements SandboxState {}

  /**
   * Its guest answers. The token drives the guest's agent.
   *
   * @param since what its slot did before this is not its doing, in milliseconds
   */
  record Running(
      long epoch,
      Slot slot,
      Machine machine,
      Guest guest,
      String token,
      MachineSize size,
      Instant since)
      implements SandboxState {
    @Override
    public String toString() {
      return "Running[epoch %d, slot %d]".formatted(epoch, slot.number());
    }
  }

  /**
   * Something of it may be left.
   *
   * @param reserved what it still holds of the node's capacity
   */
  record Removing(long epoch, int slot, Optional<MachineSize> reserved) implements SandboxState {}

  /** Nothing of it is left. */
  record Ended(long epoch, boolean repeatable) implements SandboxState {}
}
