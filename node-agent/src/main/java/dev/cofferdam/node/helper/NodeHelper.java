package dev.cofferdam.node.helper;

import dev.cofferdam.node.machine.ProcessId;
import java.util.List;
import java.util.function.Consumer;

/**
 * The closed list of privileged acts. All but {@link #startVmm} and {@link #watchDrops} may be
 * repeated.
 *
 * <p>Every call throws {@link HelperException}. Safe for use by several threads.
 */
public interface NodeHelper {
  /** The namespace in which slots meet. */
  void ensureGate();

  SlotInfo createSlot(int slot);

  /** Ends every process in the slot and takes it down. */
  void destroySlot(int slot);

  /** The slots that there are, whole or not. */
  List<Integer> listSlots();

  /** Hands the sandbox's directory and these files in it to the slot's user. */
  void prepareSandbox(int slot, String sandbox, List<String> files);

  /**
   * Removes the sandbox's directory with all that is in it, also what its VMM kept to itself. One
   * that is not there is removed.
   */
  void removeSandbox(String sandbox);

  /** Loads a template's memory, so that the first restore does not pay for it. */
  void loadTemplate(String template);

  /** Gives back the memory that a template or a snapshot took; machines that have it keep it. */
  void forgetTemplate(String template);

  ProcessId startVmm(VmmStart start);

  /**
   * Kills the slot's VMM and returns once it is gone.
   *
   * @return the end of what it said on its standard streams, for an operator; most say nothing
   */
  String stopVmm(int slot);

  /**
   * As above, but only where that process is what runs in the slot: for who acts on what it saw
   * earlier, while the slot may have passed on.
   */
  void stopVmm(int slot, ProcessId process);

  /**
   * Calls back for every line until the stream breaks (then throws) or the thread is interrupted
   * (then returns).
   */
  void watchDrops(Consumer<SlotDrop> drops);
}
