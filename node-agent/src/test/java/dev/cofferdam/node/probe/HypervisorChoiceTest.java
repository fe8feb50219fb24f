package dev.cofferdam.node.probe;

import static dev.cofferdam.node.probe.HypervisorSetting.AUTO;
import static dev.cofferdam.node.probe.HypervisorSetting.CLOUD_HYPERVISOR;
import static dev.cofferdam.node.probe.HypervisorSetting.QEMU;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.node.machine.MachineException;
import dev.cofferdam.node.probe.HypervisorChoice.Decision;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Optional;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class HypervisorChoiceTest {
  private static final String HERE = "v53.0, boot 1";

  @TempDir Path directory;
  private Path binary;
  private int boots;

  @BeforeEach
  void setUp() throws IOException {
    binary = Files.createFile(directory.resolve("ch"));
    Files.setPosixFilePermissions(binary, PosixFilePermissions.fromString("rwx------"));
  }

  @Test
  void aGuestThatBootsDecides() {
    assertThat(choose(AUTO, HERE, false))
        .isEqualTo(new Decision(CLOUD_HYPERVISOR, "a guest answered"));
  }

  @Test
  void withoutOneItIsQemuAndTheReasonIsTold() {
    assertThat(decide(AUTO, HERE, false, this::fails))
        .isEqualTo(
            new Decision(QEMU, "Cloud Hypervisor: no guest booted on it: no answer within PT20S"));
  }

  @Test
  void whatWasFoundHoldsWhileTheCircumstancesDo() {
    var _ = choose(AUTO, HERE, false);
    assertThat(choose(AUTO, HERE, false).hypervisor()).isEqualTo(CLOUD_HYPERVISOR);
    assertThat(boots).isEqualTo(1);
    assertThat(choose(AUTO, "v53.0, boot 2", false).hypervisor()).isEqualTo(CLOUD_HYPERVISOR);
    assertThat(boots).isEqualTo(2);
  }

  @Test
  void afterAFailureTheNextStartDoesNotWaitAgain() {
    var _ = decide(AUTO, HERE, false, this::fails);
    assertThat(decide(AUTO, HERE, false, this::fails).hypervisor()).isEqualTo(QEMU);
    assertThat(boots).isEqualTo(1);
    // Whoever insists has it tried.
    assertThat(choose(CLOUD_HYPERVISOR, HERE, false).hypervisor()).isEqualTo(CLOUD_HYPERVISOR);
  }

  @Test
  void whoInsistsGetsItOrNothing() {
    assertThat(choose(QEMU, HERE, false)).isEqualTo(new Decision(QEMU, "the settings say so"));
    assertThat(boots).isZero();
    assertThatThrownBy(() -> decide(CLOUD_HYPERVISOR, HERE, false, this::fails))
        .isInstanceOf(MachineException.class)
        .hasMessageContaining("no answer within PT20S");
    assertThatThrownBy(() ->
            new HypervisorChoice(directory.resolve("memory"), HERE, false)
                .decide(CLOUD_HYPERVISOR, Optional.empty(), this::boots))
        .isInstanceOf(MachineException.class);
  }

  @Test
  void whatIsNoProgramIsNotBooted() throws IOException {
    Files.setPosixFilePermissions(binary, PosixFilePermissions.fromString("rw-------"));
    assertThat(choose(AUTO, HERE, false).hypervisor()).isEqualTo(QEMU);
    assertThat(boots).isZero();
  }

  @Test
  void sandboxesThatLiveKeepTheirs() {
    assertThat(choose(AUTO, HERE, true).hypervisor()).isEqualTo(QEMU);
    var _ = choose(AUTO, HERE, false);
    assertThat(choose(QEMU, "another binary", true).hypervisor()).isEqualTo(CLOUD_HYPERVISOR);
    assertThat(boots).isEqualTo(1);
  }

  private Decision choose(HypervisorSetting wanted, String circumstances, boolean live) {
    return decide(wanted, circumstances, live, this::boots);
  }

  private Decision decide(
      HypervisorSetting wanted,
      String circumstances,
      boolean live,
      java.util.function.Supplier<String> proof) {
    return new HypervisorChoice(directory.resolve("memory"), circumstances, live)
        .decide(wanted, Optional.of(binary), proof);
  }

  private String boots() {
    boots++;
    return "a guest answered";
  }

  private String fails() {
    boots++;
    throw new MachineException("no answer within PT20S");
  }
}
