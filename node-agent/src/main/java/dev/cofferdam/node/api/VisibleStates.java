package dev.cofferdam.node.api;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.node.sandbox.SandboxStates.Visible;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.SandboxState;

/** The states that a sandbox which is there can be in, as the protocol spells them. */
public final class VisibleStates {
  private VisibleStates() {}

  /**
   * @throws Refusal INVALID_ARGUMENT for one that nobody can ask for
   */
  public static Visible of(SandboxState state) {
    return switch (state) {
      case SANDBOX_STATE_RUNNING -> Visible.RUNNING;
      case SANDBOX_STATE_PAUSED -> Visible.PAUSED;
      case SANDBOX_STATE_SUSPENDED -> Visible.SUSPENDED;
      // A protocol's enum has members that this version does not know.
      default ->
          throw new Refusal(
              ErrorReason.ERROR_REASON_INVALID_ARGUMENT,
              "state is " + state + ", expected RUNNING, PAUSED or SUSPENDED");
    };
  }

  public static SandboxState of(Visible state) {
    return switch (state) {
      case RUNNING -> SandboxState.SANDBOX_STATE_RUNNING;
      case PAUSED -> SandboxState.SANDBOX_STATE_PAUSED;
      case SUSPENDED -> SandboxState.SANDBOX_STATE_SUSPENDED;
    };
  }
}
