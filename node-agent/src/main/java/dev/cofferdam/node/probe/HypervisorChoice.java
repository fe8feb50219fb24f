package dev.cofferdam.node.probe;

import dev.cofferdam.node.machine.MachineException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * Decides, once at a start. A device file proves nothing: there are machines whose {@code /dev/kvm}
 * opens and makes virtual machines, and no guest ever comes up in one. So a guest has to.
 *
 * <p>What was decided is remembered, for two reasons: sandboxes that live belong to one hypervisor,
 * and what was proven since the host started need not be proven again.
 */
public final class HypervisorChoice {
  private final Path memory;
  private final String circumstances;
  private final boolean sandboxesLive;

  /**
   * @param memory a file that remembers
   * @param circumstances what the proof holds for: this boot of the host, this binary
   * @param sandboxesLive machines of an earlier process run on
   */
  public HypervisorChoice(Path memory, String circumstances, boolean sandboxesLive) {
    this.memory = memory;
    this.circumstances = circumstances.replace('\n', ' ');
    this.sandboxesLive = sandboxesLive;
  }

  /**
   * @param hypervisor never {@code AUTO}
   * @param why for an operator
   */
  public record Decision(HypervisorSetting hypervisor, String why) {}

  /**
   * @param binary where Cloud Hypervisor is; empty for nowhere
   * @param boots boots a guest on it and says how that went; throws when no guest answered
   * @throws MachineException when Cloud Hypervisor was asked for by name, and boots none
   */
  public Decision decide(HypervisorSetting wanted, Optional<Path> binary, Supplier<String> boots) {
    if (sandboxesLive) {
      Optional<HypervisorSetting> before = remembered("").flatMap(HypervisorSetting::of);
      if (before.isPresent()) {
        return new Decision(before.get(), "sandboxes of it live");
      }
      return new Decision(HypervisorSetting.QEMU, "sandboxes live that are older than any other");
    }
    Decision decision =
        switch (wanted) {
          case QEMU -> new Decision(HypervisorSetting.QEMU, "the settings say so");
          case CLOUD_HYPERVISOR, AUTO -> proven(wanted, binary, boots);
        };
    remember(decision);
    return decision;
  }

  private Decision proven(HypervisorSetting wanted, Optional<Path> binary, Supplier<String> boots) {
    if (binary.isEmpty() || !Files.isExecutable(binary.get())) {
      return without(
          wanted, binary.map(path -> path + " is no program").orElse("no binary of it is named"));
    }
    Optional<String> before = remembered(circumstances);
    if (before.equals(Optional.of(HypervisorSetting.CLOUD_HYPERVISOR.label()))) {
      return new Decision(
          HypervisorSetting.CLOUD_HYPERVISOR, "a guest booted on it since the host started");
    }
    if (wanted == HypervisorSetting.AUTO && before.isPresent()) {
      return new Decision(
          HypervisorSetting.QEMU, "no guest booted on Cloud Hypervisor since the host started");
    }
    try {
      return new Decision(HypervisorSetting.CLOUD_HYPERVISOR, boots.get());
    } catch (RuntimeException e) {
      return without(wanted, "no guest booted on it: " + e.getMessage());
    }
  }

  private static Decision without(HypervisorSetting wanted, String why) {
    if (wanted == HypervisorSetting.CLOUD_HYPERVISOR) {
      throw new MachineException("Cloud Hypervisor is asked for, but " + why);
    }
    return new Decision(HypervisorSetting.QEMU, "Cloud Hypervisor: " + why);
  }

  /** What was decided in these circumstances, or in any for none. */
  private Optional<String> remembered(String wanted) {
    try {
      String[] lines = Files.readString(memory).split("\n", -1);
      return lines.length < 2 || (!wanted.isEmpty() && !lines[1].equals(wanted))
          ? Optional.empty()
          : Optional.of(lines[0]);
    } catch (NoSuchFileException e) {
      return Optional.empty();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void remember(Decision decision) {
    try {
      Files.writeString(memory, decision.hypervisor().label() + "\n" + circumstances + "\n");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
