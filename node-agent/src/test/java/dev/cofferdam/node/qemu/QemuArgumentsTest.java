package dev.cofferdam.node.qemu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.node.machine.MachineSpec;
import dev.cofferdam.node.qemu.QemuArguments.Memory;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class QemuArgumentsTest {
  private static final MachineSpec SPEC =
      new MachineSpec("sb-a", 1, "0123456789abcdef", new MachineSize(1, 512, 1024), "quiet");

  /** Or each start of a process is translated anew: seven times as slow. */
  @Test
  void aGuestThatBootsPlacesItsProgramsWhereTheyWere() {
    List<String> arguments = QemuArguments.of(SPEC, Memory.PRIVATE);

    assertThat(arguments.get(arguments.indexOf("-append") + 1).split(" ", -1))
        .contains("quiet", "norandmaps");
  }

  @Test
  void aVolumeThatIsTheDiskTakesItsPlaceAndNoOthersNumber() {
    MachineSpec spec =
        new MachineSpec(
            "sb-a",
            1,
            "0123456789abcdef",
            new MachineSize(1, 512, 1024),
            "quiet",
            List.of("vol-a"),
            Optional.of("vol-d"));
    assertThat(spec.jailed()).containsExactly("vol-a", "vol-d");
    assertThat(QemuArguments.of(spec, Memory.PRIVATE))
        .contains(
            "if=none,id=disk,file=/volume/1,format=raw",
            "if=none,id=volume0,file=/volume/0,format=raw")
        .noneMatch(argument -> argument.contains("disk.ext4"));
    assertThat(QemuArguments.of(SPEC, Memory.PRIVATE))
        .contains("if=none,id=disk,file=/sandbox/disk.ext4,format=raw");
  }

  @Test
  void aGuestThatIsRestoredHasItsKernelAlready() {
    assertThat(QemuArguments.of(SPEC, Memory.KEPT)).doesNotContain("-append", "-kernel");
  }
}
