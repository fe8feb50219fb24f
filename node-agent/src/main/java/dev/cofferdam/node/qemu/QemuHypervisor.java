package dev.cofferdam.node.qemu;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.cofferdam.node.helper.HelperException;
import dev.cofferdam.node.helper.NodeHelper;
import dev.cofferdam.node.helper.VmmStart;
import dev.cofferdam.node.machine.Hypervisor;
import dev.cofferdam.node.machine.Isolation;
import dev.cofferdam.node.machine.Machine;
import dev.cofferdam.node.machine.MachineException;
import dev.cofferdam.node.machine.MachineSpec;
import dev.cofferdam.node.machine.ProcessId;
import dev.cofferdam.node.machine.ProcessTable;
import dev.cofferdam.node.machine.Steps;
import dev.cofferdam.node.qemu.QemuArguments.Memory;
import java.nio.file.Path;
import java.time.Duration;
import java.util.function.UnaryOperator;

/**
 * Machines of QEMU, in its own emulation. node-helper starts the processes; everything after that
 * goes over QMP.
 *
 * <p>A template's memory is a file that was mapped shared while the template ran, so that its
 * snapshot ({@code x-ignore-shared}) holds the devices alone; a clone maps the same bytes
 * privately.
 */
public final class QemuHypervisor implements Hypervisor {
  /** Process start to QMP takes 50 to 70 ms on an idle machine; this is for one that is not. */
  private static final Duration CONNECT = Duration.ofSeconds(20);

  private final NodeHelper helper;
  private final ProcessTable processes;
  private final Path sandboxRoot;
  private final String version;
  private final UnaryOperator<Path> inJail;

  /**
   * @param version as {@code qemu --version} says it: snapshots do not outlive it
   */
  public QemuHypervisor(
      NodeHelper helper, ProcessTable processes, Path sandboxRoot, String version) {
    this(
        helper,
        processes,
        sandboxRoot,
        version,
        path -> Path.of("/sandbox").resolve(String.valueOf(path.getFileName())));
  }

  /**
   * @param inJail how the VMM sees a file of its directory
   */
  QemuHypervisor(
      NodeHelper helper,
      ProcessTable processes,
      Path sandboxRoot,
      String version,
      UnaryOperator<Path> inJail) {
    this.helper = helper;
    this.processes = processes;
    this.sandboxRoot = sandboxRoot;
    this.version = version;
    this.inJail = inJail;
  }

  @Override
  public String name() {
    return "qemu";
  }

  @Override
  public Isolation isolation() {
    return Isolation.EMULATED;
  }

  @Override
  public String fingerprint(MachineSpec spec) {
    return version + "\n" + String.join("\n", QemuArguments.of(spec, Memory.SNAPSHOT));
  }

  @Override
  public Machine boot(MachineSpec spec, Steps steps) {
    return start(spec, Memory.PRIVATE, "", steps);
  }

  @Override
  public Machine bootForSnapshot(MachineSpec spec, Steps steps) {
    return start(spec, Memory.SNAPSHOT, "", steps);
  }

  @Override
  public Machine restore(MachineSpec spec, String template, Steps steps) {
    QemuMachine machine = start(spec, Memory.TEMPLATE, template, steps);
    try {
      steps.time("load", machine::load);
      return machine;
    } catch (RuntimeException e) {
      machine.close();
      throw undone(spec.slot(), e);
    }
  }

  @Override
  public Machine adopt(String sandbox, int slot, ProcessId process) {
    if (!processes.alive(process)) {
      throw new MachineException("the VMM of %s, process %s, is gone".formatted(sandbox, process));
    }
    QemuMachine machine = machine(sandbox, slot, process, false);
    machine.connectLater();
    return machine;
  }

  @Override
  public Path directory(String sandbox) {
    return sandboxRoot.resolve(sandbox);
  }

  private QemuMachine start(MachineSpec spec, Memory memory, String template, Steps steps) {
    boolean snapshot = memory == Memory.SNAPSHOT;
    ProcessId process;
    try {
      process =
          steps.time(
              "vmm_start",
              () ->
                  helper.startVmm(
                      new VmmStart(
                          spec.slot(),
                          spec.sandbox(),
                          "qemu",
                          QemuArguments.of(spec, memory),
                          template,
                          spec.image(),
                          spec.size().memoryMib(),
                          spec.size().vcpus(),
                          snapshot)));
    } catch (HelperException e) {
      if (e.code() == HelperException.Code.UNAVAILABLE) {
        // It may have been started before the answer was lost.
        throw undone(spec.slot(), e);
      }
      throw new MachineException("QEMU was not started: " + e.getMessage(), e);
    }
    try {
      return steps.time("qmp", () -> connect(spec.sandbox(), spec.slot(), process, snapshot));
    } catch (RuntimeException e) {
      throw undone(spec.slot(), e);
    }
  }

  private QemuMachine connect(String sandbox, int slot, ProcessId process, boolean snapshot) {
    QemuMachine machine = machine(sandbox, slot, process, snapshot);
    try {
      machine.connect(CONNECT);
      return machine;
    } catch (QmpException e) {
      throw new MachineException("QEMU of " + sandbox + ": " + e.getMessage(), e);
    }
  }

  private QemuMachine machine(String sandbox, int slot, ProcessId process, boolean snapshot) {
    return new QemuMachine(
        helper,
        processes,
        sandbox,
        slot,
        process,
        snapshot,
        directory(sandbox).resolve("qmp.sock"),
        inJail);
  }

  /** Stops whatever runs in the slot, and adds to the cause what it said. */
  private MachineException undone(int slot, RuntimeException cause) {
    String output = "";
    try {
      output = helper.stopVmm(slot);
    } catch (HelperException e) {
      cause.addSuppressed(e);
    }
    return new MachineException(
        cause.getMessage() + (output.isEmpty() ? "" : "; QEMU said: " + output), cause);
  }

  static ObjectNode ignoreShared() {
    ObjectNode arguments = QmpClient.arguments();
    var capabilities = arguments.putArray("capabilities");
    capabilities.addObject().put("capability", "x-ignore-shared").put("state", true);
    capabilities.addObject().put("capability", "events").put("state", true);
    return arguments;
  }
}
