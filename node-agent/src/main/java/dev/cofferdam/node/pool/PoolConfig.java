package dev.cofferdam.node.pool;

/**
 * How much may be made ahead.
 *
 * @param restored machines restored and paused, of one template, at most; 0 for none
 * @param waiting VMM processes that hold no guest yet, of one template, at most; 0 for none
 * @param memoryMib what all of them may use of the host together
 * @param hostReserveMib what the host is to have left: below it nothing is made, and what is there
 *     goes
 */
public record PoolConfig(int restored, int waiting, int memoryMib, int hostReserveMib) {
  /**
   * Private memory of one restored machine, its VMM's own included: 60 to 66 MiB were measured
   * under emulation, after a rehearsal.
   */
  static final int RESTORED_MIB = 72;

  /** Of one VMM that holds no guest: 20 to 30 MiB were measured. */
  static final int WAITING_MIB = 32;

  public PoolConfig {
    if (restored < 0 || waiting < 0 || memoryMib < 0 || hostReserveMib < 0) {
      throw new IllegalArgumentException(
          "restored %d, waiting %d, memory %d MiB, reserve %d MiB: expected none below 0"
              .formatted(restored, waiting, memoryMib, hostReserveMib));
    }
  }
}
