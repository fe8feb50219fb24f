package dev.cofferdam.node.world;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.node.cloudhypervisor.CloudHypervisor;
import dev.cofferdam.node.cloudhypervisor.Landlock;
import dev.cofferdam.node.guest.UnixGuestConnector;
import dev.cofferdam.node.image.Image;
import dev.cofferdam.node.machine.LinuxProcessTable;
import dev.cofferdam.node.machine.MachineException;
import dev.cofferdam.node.probe.HypervisorChoice;
import dev.cofferdam.node.probe.HypervisorChoice.Decision;
import dev.cofferdam.node.probe.HypervisorSetting;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * A node on a machine that has a Cloud Hypervisor, and perhaps a {@code /dev/kvm} that opens, where
 * no guest ever boots.
 */
@NeedsWorld
class RefusedTest {
  private final World world = new World();
  private final CloudHypervisor hypervisor =
      new CloudHypervisor(
          world.helper(),
          new LinuxProcessTable(),
          world.sandboxes(),
          world.templates(),
          "test",
          Landlock.usable(Path.of("/proc/sys/kernel/osrelease")));
  private final UnixGuestConnector guests =
      new UnixGuestConnector(Executors.newVirtualThreadPerTaskExecutor());

  @BeforeEach
  void clean() throws IOException {
    world.clean();
  }

  @AfterEach
  void close() {
    guests.close();
    hypervisor.close();
    world.close();
  }

  @Test
  void whereNoGuestBootsTheNodeTakesQemuAndNothingIsLeftOfTheTry() throws IOException {
    Decision decision = decide(HypervisorSetting.AUTO);
    assertThat(decision.hypervisor()).isEqualTo(HypervisorSetting.QEMU);
    assertThat(decision.why()).startsWith("Cloud Hypervisor: no guest booted on it: ");
    assertThat(world.sandboxes()).isEmptyDirectory();
  }

  @Test
  void whereNoGuestBootsANodeThatMustHaveItDoesNotStart() {
    assertThatThrownBy(() -> decide(HypervisorSetting.CLOUD_HYPERVISOR))
        .isInstanceOf(MachineException.class)
        .hasMessageContaining("no guest booted on it");
    assertThat(world.sandboxes()).isEmptyDirectory();
  }

  private Decision decide(HypervisorSetting wanted) throws IOException {
    Image image = world.image(world.arguments());
    return new HypervisorChoice(world.memory(), "this run", false)
        .decide(
            wanted,
            Optional.of(world.cloudHypervisor()),
            () -> world.proof(guests, Duration.ofSeconds(10)).boot(hypervisor, image));
  }
}
