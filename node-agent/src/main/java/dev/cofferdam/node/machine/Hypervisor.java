package dev.cofferdam.node.machine;

import java.nio.file.Path;

/**
 * Makes virtual machines. Every call may block; all are safe for use by several threads, one thread
 * per machine.
 *
 * <p>A machine that is returned is loaded and paused: no instruction of the guest has run since.
 * Whatever fails leaves no process behind.
 */
public interface Hypervisor {
  /** As the registration spells it: {@code qemu}, {@code cloud-hypervisor}. */
  String name();

  Isolation isolation();

  /**
   * Whatever a snapshot depends on beside image and size: versions, devices. Part of a template's
   * digest.
   */
  String fingerprint(MachineSpec spec);

  /**
   * A machine at power-on.
   *
   * @throws MachineException when it does not come up
   */
  Machine boot(MachineSpec spec, Steps steps);

  /**
   * A machine at power-on whose {@link Machine#snapshot()} can be taken.
   *
   * @throws MachineException when it does not come up
   */
  Machine bootForSnapshot(MachineSpec spec, Steps steps);

  /**
   * A machine in the state of a template, its memory shared copy-on-write with all others.
   *
   * @param template the name of its directory
   * @throws MachineException when it does not come up
   */
  Machine restore(MachineSpec spec, String template, Steps steps);

  /**
   * Takes up a machine that an earlier process of ours left running. It may be too busy to answer
   * now: commands wait until it does.
   *
   * @throws MachineException when the process is gone
   */
  Machine adopt(String sandbox, int slot, ProcessId process);

  /** Where a sandbox's files lie. */
  Path directory(String sandbox);
}
