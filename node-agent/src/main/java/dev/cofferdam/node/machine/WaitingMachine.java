package dev.cofferdam.node.machine;

import java.util.concurrent.CompletionStage;

/** A VMM in its jail that holds no guest yet. One thread at a time. */
public interface WaitingMachine {
  ProcessId process();

  /**
   * The other half of a restore: the machine, loaded and paused. Once.
   *
   * @throws MachineException when it does not load; then no process is left
   */
  Machine load(Steps steps);

  /** Completes, with why, once the process is gone, however it went. */
  CompletionStage<String> ended();

  /** Kills it and returns once it is gone. Idempotent. */
  void stop();

  /** Lets go of it and leaves the process; a loaded one is its machine's. */
  void close();
}
