package dev.cofferdam.node.pool;

import dev.cofferdam.node.guest.Guest;
import dev.cofferdam.node.machine.Machine;
import dev.cofferdam.node.machine.WaitingMachine;
import dev.cofferdam.node.slot.Slot;
import dev.cofferdam.node.template.Template;

/**
 * A machine made ahead, in a slot of its own. Its directory has a name like a sandbox's that is no
 * sandbox's. No journal knows it: what a crash leaves of it is a slot and a directory that nobody
 * accounts for, which the next start destroys.
 */
public sealed interface Pooled {
  /** Of its directory. */
  String name();

  Slot slot();

  Template template();

  /** A VMM in its jail, its disk whole, that waits for the template's state. */
  record Waiting(String name, Slot slot, Template template, WaitingMachine machine)
      implements Pooled {}

  /** Restored and rehearsed: paused in the pool, running once it is claimed. */
  record Restored(String name, Slot slot, Template template, Machine machine, Guest guest)
      implements Pooled {}
}
