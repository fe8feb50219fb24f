package dev.cofferdam.node.machine;

import java.nio.file.Path;
import java.util.concurrent.CompletionStage;

/** One virtual machine. Closing it lets go of it and leaves it running. */
public interface Machine extends AutoCloseable {
  ProcessId process();

  /** Lets the guest run. */
  void resume();

  /** Halts the guest between two instructions. */
  void pause();

  /**
   * Writes memory and devices of the paused machine into a directory, as {@link MachineSpec#RAM}
   * and {@link MachineSpec#STATE}. The machine stays paused and can go on, or be kept again.
   *
   * <p>Nothing is durable before the caller syncs it: no machine need stand still for that.
   *
   * @param directory of ours, or the machine's own; holds neither of the two
   * @throws MachineException when the machine runs or has ended, or there is no room. Neither file
   *     is there then, and the machine, if it lives, can go on
   */
  void snapshot(Path directory);

  /** Its directory goes by this name from now on; nothing is being done with it meanwhile. */
  void renamed(String sandbox);

  /**
   * Makes the disk of the paused machine larger, with zeros at its end; its file may have that size
   * already, and has to where the VMM may not lengthen it. The guest learns of it once it runs.
   *
   * @param mib not less than it has
   */
  void growDisk(int mib);

  /** Completes, with why, once the machine's process is gone, however it went. */
  CompletionStage<String> ended();

  /** Kills the machine and returns once it is gone. Idempotent. */
  void stop();

  @Override
  void close();
}
