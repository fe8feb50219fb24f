package dev.cofferdam.node.machine;

import java.util.concurrent.CompletionStage;

/** One virtual machine. Closing it lets go of it and leaves it running. */
public interface Machine extends AutoCloseable {
  ProcessId process();

  /** Lets the guest run. */
  void resume();

  /** Halts the guest between two instructions. */
  void pause();

  /**
   * Writes memory and devices of the paused machine into its directory, as {@link MachineSpec#RAM}
   * and {@link MachineSpec#STATE}. The machine can only be stopped after it.
   *
   * @throws MachineException when it was not booted for that, or runs
   */
  void snapshot();

  /** Completes, with why, once the machine's process is gone, however it went. */
  CompletionStage<String> ended();

  /** Kills the machine and returns once it is gone. Idempotent. */
  void stop();

  @Override
  void close();
}
