package dev.cofferdam.node.sandbox;

import dev.cofferdam.node.sandbox.SandboxState.Ended;
import dev.cofferdam.node.sandbox.SandboxState.Halting;
import dev.cofferdam.node.sandbox.SandboxState.Paused;
import dev.cofferdam.node.sandbox.SandboxState.Removing;
import dev.cofferdam.node.sandbox.SandboxState.Running;
import dev.cofferdam.node.sandbox.SandboxState.Starting;
import dev.cofferdam.node.sandbox.SandboxState.Suspended;
import org.jspecify.annotations.Nullable;

/**
 * What an order of some epoch means for a sandbox in some state. A node obeys only the highest
 * epoch it has seen.
 */
final class Fencing {
  private Fencing() {}

  /** What to do with an order to start. */
  sealed interface Start {
    /** Make it. */
    record Begin() implements Start {}

    /** Tear down what an older assignment left, then make it. */
    record Replace() implements Start {}

    /** It is here already, awake or not. */
    record Answer() implements Start {}

    /** An order of the past. */
    record Stale(long highest) implements Start {}
  }

  static Start start(@Nullable SandboxState state, long epoch) {
    if (state == null) {
      return new Start.Begin();
    }
    int order = Long.compareUnsigned(epoch, state.epoch());
    if (order < 0) {
      return new Start.Stale(state.epoch());
    }
    return switch (state) {
      // Under the sandbox's lock nobody else is starting it: what is left of a start is torn down.
      case Starting _ -> new Start.Replace();
      case Running _, Halting _, Paused _, Suspended _ ->
          order == 0 ? new Start.Answer() : new Start.Replace();
      case Removing removing ->
          order == 0 ? new Start.Stale(removing.epoch()) : new Start.Replace();
      case Ended ended ->
          order > 0 || ended.repeatable() ? new Start.Begin() : new Start.Stale(ended.epoch());
    };
  }

  /** Whether an order to remove is one of the past. */
  static boolean staleRemove(@Nullable SandboxState state, long epoch) {
    return state != null && Long.compareUnsigned(epoch, state.epoch()) < 0;
  }
}
