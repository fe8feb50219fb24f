package dev.cofferdam.node;

import dev.cofferdam.node.cloudhypervisor.CloudHypervisor;
import dev.cofferdam.node.cloudhypervisor.Landlock;
import dev.cofferdam.node.disk.SandboxFiles;
import dev.cofferdam.node.guest.GuestConnector;
import dev.cofferdam.node.helper.NodeHelper;
import dev.cofferdam.node.image.Image;
import dev.cofferdam.node.image.ImageStore;
import dev.cofferdam.node.journal.Journal;
import dev.cofferdam.node.journal.JournalEntry;
import dev.cofferdam.node.machine.Hypervisor;
import dev.cofferdam.node.machine.MachineException;
import dev.cofferdam.node.machine.ProcessTable;
import dev.cofferdam.node.probe.GuestProof;
import dev.cofferdam.node.probe.HypervisorChoice;
import dev.cofferdam.node.probe.HypervisorSetting;
import dev.cofferdam.node.qemu.QemuHypervisor;
import dev.cofferdam.node.qemu.QemuVersion;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The hypervisor that this node uses, chosen once at its start.
 *
 * @param cloudHypervisor there also where it was only tried
 */
record Driver(Hypervisor hypervisor, CloudHypervisor cloudHypervisor) implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(Driver.class);

  /**
   * Asks the operator's setting, what lives here, and where that leaves a choice a guest.
   *
   * @throws IOException when what is insisted on is not there
   */
  static Driver choose(
      NodeConfig config,
      NodeHelper helper,
      ProcessTable processes,
      SandboxFiles files,
      GuestConnector guests,
      Journal journal)
      throws IOException {
    Optional<Path> binary = Optional.of(config.cloudHypervisor()).filter(Files::isExecutable);
    String version = "";
    if (binary.isPresent()) {
      try {
        version = QemuVersion.of(binary.get());
      } catch (IOException e) {
        log.atWarn().setMessage("cloud_hypervisor_not_run").setCause(e).log();
        binary = Optional.empty();
      }
    }
    CloudHypervisor cloudHypervisor =
        new CloudHypervisor(
            helper,
            processes,
            config.sandboxRoot(),
            config.templateRoot(),
            version,
            Landlock.usable(Path.of("/proc/sys/kernel/osrelease")));
    try {
      HypervisorChoice.Decision decision =
          new HypervisorChoice(
                  config.stateDirectory().resolve("hypervisor"),
                  version + " " + Files.readString(Path.of("/proc/sys/kernel/random/boot_id")),
                  lives(journal, processes))
              .decide(
                  config.hypervisor(),
                  binary,
                  () ->
                      new GuestProof(helper, files, guests, System::nanoTime)
                          .boot(cloudHypervisor, anyImage(config)));
      log.atInfo()
          .setMessage("hypervisor")
          .addKeyValue("driver", decision.hypervisor().label())
          .addKeyValue("why", decision.why())
          .log();
      return new Driver(
          decision.hypervisor() == HypervisorSetting.CLOUD_HYPERVISOR
              ? cloudHypervisor
              : new QemuHypervisor(
                  helper, processes, config.sandboxRoot(), QemuVersion.of(config.qemu())),
          cloudHypervisor);
    } catch (IOException | RuntimeException e) {
      cloudHypervisor.close();
      throw e;
    }
  }

  @Override
  public void close() {
    cloudHypervisor.close();
  }

  private static boolean lives(Journal journal, ProcessTable processes) {
    return journal.latest().stream()
        .anyMatch(entry ->
            switch (entry) {
              case JournalEntry.Running running -> processes.alive(running.process());
              case JournalEntry.Halted halted -> processes.alive(halted.process());
              case JournalEntry.Claimed _,
                  JournalEntry.Suspended _,
                  JournalEntry.RollingBack _,
                  JournalEntry.Removing _,
                  JournalEntry.Ended _ ->
                  false;
            });
  }

  /** Each has a kernel and an agent. */
  private static Image anyImage(NodeConfig config) {
    try {
      return new ImageStore(config.imageRoot()).open(config.templates().values().iterator().next());
    } catch (IOException e) {
      throw new MachineException(String.valueOf(e.getMessage()), e);
    }
  }
}
