package dev.cofferdam.node.sandbox;

import dev.cofferdam.node.guest.Guest;
import dev.cofferdam.node.machine.Machine;
import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.node.slot.Slot;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Where a sandbox is in its life on this node:
 *
 * <pre>
 *            start                 answered             remove, VM lost
 *  (unknown) ─────> Starting ─────────────────> Running ───────────────> Removing ──────> Ended
 *                      │ failed, undone          ▲ │ ▲                      ▲  │ not yet     │
 *                      └──────────> Ended        │ │ └─> Halting, Paused,   └──┘ again       │
 *                                (repeatable)    │ │     Suspended ──────> Removing          │
 *                                                └─┘ snapshot, roll-back  a higher epoch starts anew
 * </pre>
 */
sealed interface SandboxState {
  long epoch();

  /** Being made by the thread that holds the sandbox's lock. */
  record Starting(long epoch) implements SandboxState {}

  /** Its guest answers. The token drives the guest's agent. */
  record Running(
      long epoch, Slot slot, Machine machine, Guest guest, String token, MachineSize size)
      implements SandboxState {
    /** The same with another link to its guest. */
    Running with(Guest link) {
      return new Running(epoch, slot, machine, link, token, size);
    }

    @Override
    public String toString() {
      return "Running[epoch %d, slot %d]".formatted(epoch, slot.number());
    }
  }

  /** Something is done to it by the thread that holds the sandbox's lock: who calls it waits. */
  record Halting(Running running) implements SandboxState {
    @Override
    public long epoch() {
      return running.epoch();
    }
  }

  /**
   * Its VM stands still, its memory in place.
   *
   * @param frozen whether its guest was stopped before, and the link to it is at its end
   * @param cutOff only for as long as its node is cut off from the scheduler
   */
  record Paused(Running running, boolean frozen, boolean cutOff) implements SandboxState {
    @Override
    public long epoch() {
      return running.epoch();
    }
  }

  /**
   * All of it is in its directory, durable, and no VM of it runs. Without a state of a VM there it
   * boots from its disk when it wakes.
   *
   * @param token that its guest was stopped with
   */
  record Suspended(long epoch, Slot slot, String token, MachineSize size) implements SandboxState {
    @Override
    public String toString() {
      return "Suspended[epoch %d, slot %d]".formatted(epoch, slot.number());
    }
  }

  /** What has a VM, whether it runs at the moment or not. */
  static Optional<Running> live(@Nullable SandboxState state) {
    return switch (state) {
      case Running running -> Optional.of(running);
      case Halting halting -> Optional.of(halting.running());
      case Paused paused -> Optional.of(paused.running());
      case Starting _, Suspended _, Removing _, Ended _ -> Optional.empty();
      case null -> Optional.empty();
    };
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
