package dev.cofferdam.node.qemu;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.cofferdam.node.helper.HelperException;
import dev.cofferdam.node.helper.NodeHelper;
import dev.cofferdam.node.helper.VmmStart;
import dev.cofferdam.node.machine.Hypervisor;
import dev.cofferdam.node.machine.Isolation;
import dev.cofferdam.node.machine.Machine;
import dev.cofferdam.node.machine.MachineException;
import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.node.machine.MachineSpec;
import dev.cofferdam.node.machine.ProcessId;
import dev.cofferdam.node.machine.ProcessTable;
import dev.cofferdam.node.machine.Steps;
import dev.cofferdam.node.machine.WaitingMachine;
import dev.cofferdam.node.qemu.QemuArguments.Memory;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.time.Duration;
import java.util.concurrent.CompletionStage;
import java.util.function.UnaryOperator;

/**
 * Machines of QEMU, in its own emulation. node-helper starts the processes; everything after that
 * goes over QMP.
 *
 * <p>A snapshot is memory as a file of pages and devices as a migration stream without memory
 * ({@link MigrationSplitter}); a machine that is made of it maps the file privately, so that what
 * it does not write to is shared by all.
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
    MachineSpec alone =
        new MachineSpec(
            spec.sandbox(), spec.slot(), spec.image(), spec.size(), spec.kernelArguments());
    return version + "\n" + String.join("\n", QemuArguments.of(alone, Memory.PRIVATE));
  }

  @Override
  public Machine boot(MachineSpec spec, Steps steps) {
    return start(spec, Memory.PRIVATE, "", steps);
  }

  @Override
  public Machine wake(MachineSpec spec, Steps steps) {
    requireMemory(spec);
    return new Waiting(start(spec, Memory.OWN, "", steps), spec.slot()).load(steps);
  }

  /** QEMU makes a file that is missing, and lengthens one that is short. */
  private void requireMemory(MachineSpec spec) {
    Path ram = directory(spec.sandbox()).resolve(MachineSpec.RAM);
    long wanted = (long) spec.size().memoryMib() << 20;
    try {
      BasicFileAttributes found =
          Files.readAttributes(ram, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
      if (!found.isRegularFile() || found.size() != wanted) {
        throw new MachineException(
            "the memory of %s has %d bytes, expected a file of %d"
                .formatted(spec.sandbox(), found.size(), wanted));
      }
    } catch (IOException e) {
      throw new MachineException("no memory of " + spec.sandbox() + ": " + e.getMessage(), e);
    }
  }

  @Override
  public WaitingMachine prepare(MachineSpec spec, String kept, Steps steps) {
    return new Waiting(start(spec, Memory.KEPT, kept, steps), spec.slot());
  }

  @Override
  public Machine adopt(String sandbox, int slot, MachineSize size, ProcessId process) {
    if (!processes.alive(process)) {
      throw new MachineException("the VMM of %s, process %s, is gone".formatted(sandbox, process));
    }
    QemuMachine machine = machine(sandbox, slot, process, size);
    machine.connectLater();
    return machine;
  }

  @Override
  public Path directory(String sandbox) {
    return sandboxRoot.resolve(sandbox);
  }

  /** Started with {@code -incoming defer}. */
  private final class Waiting implements WaitingMachine {
    private final QemuMachine machine;
    private final int slot;

    Waiting(QemuMachine machine, int slot) {
      this.machine = machine;
      this.slot = slot;
    }

    @Override
    public ProcessId process() {
      return machine.process();
    }

    @Override
    public Machine load(Steps steps) {
      try {
        steps.time("load", machine::load);
        return machine;
      } catch (RuntimeException e) {
        machine.close();
        throw undone(slot, e);
      }
    }

    @Override
    public CompletionStage<String> ended() {
      return machine.ended();
    }

    @Override
    public void stop() {
      machine.stop();
    }

    @Override
    public void close() {
      machine.close();
    }
  }

  private QemuMachine start(MachineSpec spec, Memory memory, String kept, Steps steps) {
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
                          kept,
                          spec.image(),
                          spec.size().memoryMib(),
                          spec.size().vcpus(),
                          memory == Memory.OWN,
                          spec.jailed())));
    } catch (HelperException e) {
      if (e.code() == HelperException.Code.UNAVAILABLE) {
        // It may have been started before the answer was lost.
        throw undone(spec.slot(), e);
      }
      throw new MachineException("QEMU was not started: " + e.getMessage(), e);
    }
    try {
      return steps.time("qmp", () -> connect(spec.sandbox(), spec.slot(), process, spec.size()));
    } catch (RuntimeException e) {
      throw undone(spec.slot(), e);
    }
  }

  private QemuMachine connect(String sandbox, int slot, ProcessId process, MachineSize size) {
    QemuMachine machine = machine(sandbox, slot, process, size);
    try {
      machine.connect(CONNECT);
      return machine;
    } catch (QmpException e) {
      throw new MachineException("QEMU of " + sandbox + ": " + e.getMessage(), e);
    }
  }

  private QemuMachine machine(String sandbox, int slot, ProcessId process, MachineSize size) {
    return new QemuMachine(
        helper,
        processes,
        sandbox,
        slot,
        process,
        size,
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
