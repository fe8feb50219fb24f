package dev.cofferdam.node.world;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.node.cloudhypervisor.CloudHypervisor;
import dev.cofferdam.node.cloudhypervisor.Landlock;
import dev.cofferdam.node.machine.Hypervisor;
import dev.cofferdam.node.machine.Machine;
import dev.cofferdam.node.machine.MachineSpec;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The driver against the real Cloud Hypervisor. */
class CloudHypervisorTest extends GuestContract {
  private final CloudHypervisor hypervisor =
      new CloudHypervisor(
          world.helper(),
          processes(),
          world.sandboxes(),
          world.templates(),
          "test",
          Landlock.usable(Path.of("/proc/sys/kernel/osrelease")));

  @AfterEach
  void letGo() {
    hypervisor.close();
  }

  @Override
  protected Hypervisor hypervisor() {
    return hypervisor;
  }

  @Override
  protected String reset() {
    return "rebooting";
  }

  @Override
  protected byte[] ofAnotherVersion(byte[] state) {
    String text = new String(state, StandardCharsets.ISO_8859_1);
    assertThat(text).contains("\"version\":\"v");
    return text.replaceFirst("\"version\":\"v[0-9]", "\"version\":\"v1")
        .getBytes(StandardCharsets.ISO_8859_1);
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
}
