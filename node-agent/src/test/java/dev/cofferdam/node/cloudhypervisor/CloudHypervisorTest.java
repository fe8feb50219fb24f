package dev.cofferdam.node.cloudhypervisor;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.node.machine.Hypervisor;
import dev.cofferdam.node.machine.HypervisorContract;
import dev.cofferdam.node.machine.LinuxProcessTable;
import dev.cofferdam.node.machine.Machine;
import dev.cofferdam.node.machine.MachineSpec;
import dev.cofferdam.node.machine.ProcessTable;
import dev.cofferdam.node.machine.Steps;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;

/** The driver against the real Cloud Hypervisor, in node-helper's jail and slots. */
@EnabledIfSystemProperty(
    named = "cofferdam.world",
    matches = ".+",
    disabledReason = "needs virtualisation and node-helper: testkit/nested/run.sh brings both")
class CloudHypervisorTest extends HypervisorContract {
  private final World world = new World();
  private final CloudHypervisor hypervisor = world.hypervisor();

  @BeforeEach
  void clean() throws IOException {
    world.clean();
  }

  @AfterEach
  void letGo() {
    world.close();
  }

  @Override
  protected Hypervisor hypervisor() {
    return hypervisor;
  }

  @Override
  protected ProcessTable processes() {
    return new LinuxProcessTable();
  }

  @Override
  protected void kill(int slot) {
    world.kill(slot);
  }

  @Override
  protected void publish(Path source, String name) throws IOException {
    Path target = Files.createDirectories(world.templates().resolve(name));
    for (String file : List.of(MachineSpec.RAM, MachineSpec.STATE)) {
      if (Files.exists(source.resolve(file))) {
        Files.copy(source.resolve(file), target.resolve(file));
      }
    }
  }

  @Override
  protected byte[] ofAnotherVersion(byte[] state) {
    String text = new String(state, StandardCharsets.ISO_8859_1);
    assertThat(text).contains("\"version\":\"v");
    return text.replaceFirst("\"version\":\"v[0-9]", "\"version\":\"v1")
        .getBytes(StandardCharsets.ISO_8859_1);
  }

  @Override
  protected Path fullDirectory() {
    return world.full();
  }

  @Test
  void aCloneWhoseMemoryIsStillBeingReadInIsKeptOnceItIsThere() throws IOException {
    Machine source = hypervisor.boot(spec(hypervisor, A, 1), steps());
    source.resume();
    source.pause();
    Path kept = Files.createDirectory(world.templates().resolve("feed"));
    source.snapshot(kept);
    source.stop();
    Machine clone = hypervisor.restore(spec(hypervisor, B, 2), "feed", steps());
    clone.snapshot(hypervisor.directory(B));
    assertThat(hypervisor.directory(B).resolve(MachineSpec.RAM))
        .hasSize(Files.size(kept.resolve(MachineSpec.RAM)));
    clone.stop();
  }

  @Test
  void aGuestThatRebootsHasEnded() throws Exception {
    MachineSpec spec = spec(hypervisor, A, 1);
    // Without a root file system the kernel panics, and reboots as it is told to.
    Machine machine =
        hypervisor.boot(
            new MachineSpec(
                spec.sandbox(),
                spec.slot(),
                spec.image(),
                spec.size(),
                "panic=-1 reboot=t rdinit=/nothing quiet"),
            steps());
    machine.resume();
    assertThat(machine.ended().toCompletableFuture().get(120, TimeUnit.SECONDS))
        .contains("rebooting");
    assertThat(processes().alive(machine.process())).isFalse();
  }

  private static Steps steps() {
    return new Steps(System::nanoTime);
  }
}
