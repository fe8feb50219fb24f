package dev.cofferdam.node.cloudhypervisor;

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
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Machines of Cloud Hypervisor, on the processor's virtualisation. node-helper starts the
 * processes; everything after that goes over their REST API.
 *
 * <p>A machine at power-on is created and not booted: its guest's first instruction runs at the
 * first {@link Machine#resume()}.
 */
public final class CloudHypervisor implements Hypervisor, AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(CloudHypervisor.class);

  /** Process start to the API takes 10 to 30 ms on an idle machine; this is for one that is not. */
  private static final Duration CONNECT = Duration.ofSeconds(20);

  /** For what reads or writes a guest's whole memory. */
  static final Duration MEMORY = Duration.ofMinutes(2);

  /** The request was not understood; nothing else is wrong with it. */
  private static final int UNKNOWN_MODE = 400;

  private final NodeHelper helper;
  private final ProcessTable processes;
  private final Path sandboxRoot;
  private final Path keptRoot;
  private final String version;
  private final boolean landlock;
  private final UnixHttp http = new UnixHttp();

  /** What this host's Cloud Hypervisor, by version, has turned out to do. */
  private final Map<String, RestoreMode> proven = new ConcurrentHashMap<>();

  /**
   * @param keptRoot where templates and snapshots lie, as node-helper's {@code template_root}
   * @param version as {@code cloud-hypervisor --version} says it: snapshots do not outlive it
   * @param landlock the kernel has Landlock's third interface or a later one (Linux 6.2): VMMs use
   *     it
   */
  public CloudHypervisor(
      NodeHelper helper,
      ProcessTable processes,
      Path sandboxRoot,
      Path keptRoot,
      String version,
      boolean landlock) {
    this.helper = helper;
    this.processes = processes;
    this.sandboxRoot = sandboxRoot;
    this.keptRoot = keptRoot;
    this.version = version;
    this.landlock = landlock;
  }

  @Override
  public String name() {
    return "cloud-hypervisor";
  }

  @Override
  public Isolation isolation() {
    return Isolation.HARDWARE;
  }

  @Override
  public String fingerprint(MachineSpec spec) {
    return version + "\n" + VmmConfig.machine(spec, landlock);
  }

  @Override
  public Machine boot(MachineSpec spec, Steps steps) {
    if (spec.diskVolume().isEmpty()
        && !Files.isRegularFile(directory(spec.sandbox()).resolve(MachineSpec.DISK))) {
      // The guest's first instruction is the first that needs it, which is late to be told.
      throw new MachineException("%s has no %s".formatted(spec.sandbox(), MachineSpec.DISK));
    }
    CloudHypervisorMachine machine = start(spec, "", false, steps);
    try {
      steps.time(
          "load", () -> machine.client().create(VmmConfig.machineWithVolumes(spec, landlock)));
      machine.attend();
      return machine;
    } catch (RuntimeException e) {
      throw undone(machine, spec, e);
    }
  }

  @Override
  public WaitingMachine prepare(MachineSpec spec, String kept, Steps steps) {
    // node-helper has the memory ready, sealed and for all; the VMM finds it open.
    return waiting(spec, kept, keptRoot.resolve(kept), Path.of("/proc/self/fd/4"), steps);
  }

  @Override
  public Machine wake(MachineSpec spec, Steps steps) {
    return waiting(spec, "", directory(spec.sandbox()), Path.of("/sandbox", MachineSpec.RAM), steps)
        .load(steps);
  }

  @Override
  public Machine adopt(String sandbox, int slot, MachineSize size, ProcessId process) {
    if (!processes.alive(process)) {
      throw new MachineException("the VMM of %s, process %s, is gone".formatted(sandbox, process));
    }
    CloudHypervisorMachine machine = machine(sandbox, slot, process);
    machine.attend();
    return machine;
  }

  @Override
  public Path directory(String sandbox) {
    return sandboxRoot.resolve(sandbox);
  }

  @Override
  public void close() {
    http.close();
  }

  private Waiting waiting(MachineSpec spec, String kept, Path source, Path memory, Steps steps) {
    KeptState state = read(spec, source);
    KeptDisks disks = KeptDisks.of(spec, state);
    CloudHypervisorMachine machine = start(spec, kept, kept.isEmpty(), steps);
    try {
      machine.files().lay(disks.admitting(), memory);
      machine.attend();
      return new Waiting(machine, spec, state.version(), disks.missing());
    } catch (IOException e) {
      throw undone(machine, spec, new UncheckedIOException(e));
    }
  }

  private static KeptState read(MachineSpec spec, Path source) {
    Path memory = source.resolve(MachineSpec.RAM);
    try {
      KeptState state = KeptState.read(source.resolve(MachineSpec.STATE));
      // Cut short it would be missed when the guest gets there.
      if (!Files.isRegularFile(memory, LinkOption.NOFOLLOW_LINKS)
          || Files.size(memory) != state.memoryBytes()) {
        throw new IOException(
            "its memory is not a file of %d bytes".formatted(state.memoryBytes()));
      }
      return state;
    } catch (IOException e) {
      throw new MachineException(
          "%s cannot be restored from %s: %s"
              .formatted(spec.sandbox(), source.getFileName(), e.getMessage()),
          e);
    }
  }

  /**
   * The best way to bring memory back that this build knows and this host allows: {@code OnDemand}
   * needs userfaultfd, and what a build between two releases knows only it can say.
   */
  private void load(CloudHypervisorMachine machine, String written) {
    ApiVersion running = machine.client().ping();
    if (!running.text().equals(written)) {
      throw new ApiException(
          "the snapshot is of %s, expected %s: none reads another's"
              .formatted(written.replaceAll("[^\\x20-\\x7e]", "?"), running.text()));
    }
    RestoreMode known = proven.get(running.text());
    List<RestoreMode> modes = known == null ? running.restoreModes() : List.of(known);
    for (int i = 0; ; i++) {
      RestoreMode mode = modes.get(i);
      try {
        machine.client().restore("/sandbox", mode, MEMORY);
        if (proven.put(running.text(), mode) == null) {
          log.atInfo()
              .setMessage("restore_mode")
              .addKeyValue("version", running.text())
              .addKeyValue("mode", mode.label())
              .log();
        }
        return;
      } catch (ApiRefusal e) {
        if (i + 1 == modes.size() || !refused(mode, e)) {
          throw e;
        }
        log.atDebug()
            .setMessage("restore_mode_refused")
            .addKeyValue("mode", mode.label())
            .setCause(e)
            .log();
      }
    }
  }

  /** Whether the mode is what was refused, and not the snapshot. */
  private static boolean refused(RestoreMode mode, ApiRefusal refusal) {
    return refusal.status() == UNKNOWN_MODE
        || (mode == RestoreMode.ON_DEMAND
            && String.valueOf(refusal.getMessage()).contains("On-demand restore failed"));
  }

  private CloudHypervisorMachine start(MachineSpec spec, String kept, boolean own, Steps steps) {
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
                          name(),
                          VmmConfig.arguments(),
                          kept,
                          spec.image(),
                          spec.size().memoryMib(),
                          spec.size().vcpus(),
                          own,
                          spec.jailed())));
    } catch (HelperException e) {
      if (e.code() == HelperException.Code.UNAVAILABLE) {
        // It may have been started before the answer was lost.
        throw undone(spec, e);
      }
      throw new MachineException("Cloud Hypervisor was not started: " + e.getMessage(), e);
    }
    CloudHypervisorMachine machine = machine(spec.sandbox(), spec.slot(), process);
    try {
      var _ = steps.time("api", () -> machine.connect(CONNECT));
      return machine;
    } catch (RuntimeException e) {
      throw undone(machine, spec, e);
    }
  }

  private CloudHypervisorMachine machine(String sandbox, int slot, ProcessId process) {
    return new CloudHypervisorMachine(
        helper, processes, http, sandbox, slot, process, directory(sandbox));
  }

  private MachineException undone(
      CloudHypervisorMachine machine, MachineSpec spec, RuntimeException cause) {
    machine.close();
    return undone(spec, cause);
  }

  /** Stops whatever runs in the slot, and adds to the cause what it said. */
  private MachineException undone(MachineSpec spec, RuntimeException cause) {
    String output = "";
    try {
      output = helper.stopVmm(spec.slot());
    } catch (HelperException e) {
      cause.addSuppressed(e);
    }
    return new MachineException(
        "Cloud Hypervisor of %s: %s%s"
            .formatted(
                spec.sandbox(), cause.getMessage(), output.isEmpty() ? "" : "; it said: " + output),
        cause);
  }

  /** Started, with what it will read beside it. */
  private final class Waiting implements WaitingMachine {
    private final CloudHypervisorMachine machine;
    private final MachineSpec spec;
    private final String written;
    private final List<Integer> volumes;

    /**
     * @param written the version that the state is of
     * @param volumes those that the state does not know, by number
     */
    Waiting(
        CloudHypervisorMachine machine, MachineSpec spec, String written, List<Integer> volumes) {
      this.machine = machine;
      this.spec = spec;
      this.written = written;
      this.volumes = volumes;
    }

    @Override
    public ProcessId process() {
      return machine.process();
    }

    @Override
    public Machine load(Steps steps) {
      try {
        steps.time("load", () -> CloudHypervisor.this.load(machine, written));
        for (int number : volumes) {
          machine.client().addDisk(VmmConfig.volume(number));
        }
        machine.files().clear();
        return machine;
      } catch (IOException e) {
        throw undone(machine, spec, new UncheckedIOException(e));
      } catch (RuntimeException e) {
        throw undone(machine, spec, e);
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
}
