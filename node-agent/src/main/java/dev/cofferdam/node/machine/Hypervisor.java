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
   * digest, and kept with a snapshot.
   */
  String fingerprint(MachineSpec spec);

  /**
   * A machine at power-on.
   *
   * @throws MachineException when it does not come up
   */
  Machine boot(MachineSpec spec, Steps steps);

  /**
   * A machine in the state of a template or a snapshot, its memory shared copy-on-write with all
   * others. What it is made of stays as it is, for as many as like.
   *
   * @param kept the name of its directory
   * @throws MachineException when it does not come up: a broken one, or one of another version
   */
  default Machine restore(MachineSpec spec, String kept, Steps steps) {
    return prepare(spec, kept, steps).load(steps);
  }

  /**
   * A machine in the state that lies in its own directory as {@link MachineSpec#RAM} and {@link
   * MachineSpec#STATE}. It uses the first for as long as it lives: that may be removed meanwhile,
   * but not changed.
   *
   * @throws MachineException when it does not come up: a broken state, or one of another version.
   *     The files are as they were
   */
  Machine wake(MachineSpec spec, Steps steps);

  /**
   * The first half of a restore: a VMM that waits for the state that was kept. The slow part of a
   * start that needs nothing of whose it will be.
   *
   * @param kept the name of its directory
   * @throws MachineException when it does not come up
   */
  WaitingMachine prepare(MachineSpec spec, String kept, Steps steps);

  /**
   * Takes up a machine that an earlier process of ours left running, or paused. It may be too busy
   * to answer now: commands wait until it does.
   *
   * @throws MachineException when the process is gone
   */
  Machine adopt(String sandbox, int slot, MachineSize size, ProcessId process);

  /** Where a sandbox's files lie. */
  Path directory(String sandbox);
}
