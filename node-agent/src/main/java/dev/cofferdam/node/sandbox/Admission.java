package dev.cofferdam.node.sandbox;

import dev.cofferdam.kit.error.Refusal;

/** Asked before anything of a sandbox is made here, or brought back into memory. */
@FunctionalInterface
public interface Admission {
  /**
   * @throws Refusal NO_CAPACITY
   */
  void admit();
}
