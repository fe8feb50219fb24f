package dev.cofferdam.node.helper;

import java.util.List;

/**
 * A VMM to start in a slot.
 *
 * @param driver {@code qemu}
 * @param arguments without the program
 * @param template digest, or empty: descriptor 4 is its memory, 5 its state
 * @param image digest
 * @param snapshot its memory is a file of its directory, for a snapshot to keep
 */
public record VmmStart(
    int slot,
    String sandbox,
    String driver,
    List<String> arguments,
    String template,
    String image,
    int memoryMib,
    int vcpus,
    boolean snapshot) {
  public VmmStart {
    arguments = List.copyOf(arguments);
  }
}
