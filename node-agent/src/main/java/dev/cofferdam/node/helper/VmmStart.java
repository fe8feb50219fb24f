package dev.cofferdam.node.helper;

import java.util.List;

/**
 * A VMM to start in a slot.
 *
 * @param driver {@code qemu}
 * @param arguments without the program
 * @param template name of a template or snapshot, or empty: descriptor 4 is its memory, 5 its state
 * @param image digest
 * @param own descriptor 5 is the state in the sandbox's own directory, where its memory is as well
 * @param volumes in the jail as {@code /volume/0} and so on
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
    boolean own,
    List<String> volumes) {
  public VmmStart {
    arguments = List.copyOf(arguments);
    volumes = List.copyOf(volumes);
  }

  /** Without volumes. */
  public VmmStart(
      int slot,
      String sandbox,
      String driver,
      List<String> arguments,
      String template,
      String image,
      int memoryMib,
      int vcpus,
      boolean own) {
    this(slot, sandbox, driver, arguments, template, image, memoryMib, vcpus, own, List.of());
  }
}
