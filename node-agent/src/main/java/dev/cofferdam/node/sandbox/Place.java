package dev.cofferdam.node.sandbox;

import dev.cofferdam.node.slot.Slot;

/** Where a sandbox is going to be. */
sealed interface Place {
  Slot slot();

  /** A slot with nothing in it. */
  record Empty(Slot slot) implements Place {}

  /** A slot with a machine of the pool in it. */
  record Pooled(dev.cofferdam.node.pool.Pooled machine) implements Place {
    @Override
    public Slot slot() {
      return machine.slot();
    }
  }
}
