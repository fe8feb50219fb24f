package dev.cofferdam.scheduler.volume;

import java.util.Optional;
import java.util.UUID;

/**
 * Where a volume is in its life. As with snapshots, every arrow is one compare-and-set, taken
 * before what follows from it is done. One that is removed leaves no record.
 *
 * <pre>
 *             create           node answered
 *   (nothing) ------> Making ----------------> Ready   (had by a sandbox, or by none)
 *                        |                       |
 *                        | failed                | deleted, while no sandbox has it
 *                        v                       |
 *                     Removing <-----------------+
 *                        |
 *                        | removed at the node
 *                        v
 *                    (nothing)
 * </pre>
 */
public sealed interface VolumeState {
  /**
   * Its node makes it. Nobody sees it yet; its name is taken.
   *
   * @param process the scheduler process that drives it; a record of another process has lost its
   *     driver
   */
  record Making(UUID process) implements VolumeState {}

  /**
   * Durable on its node.
   *
   * @param sandbox that has it, from the record of its create to its end
   */
  record Ready(Optional<String> sandbox) implements VolumeState {}

  /** Has to go: what remains is to remove it at its node. Its name is free. */
  record Removing() implements VolumeState {}
}
