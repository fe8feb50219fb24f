package dev.cofferdam.node.world;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.node.machine.Hypervisor;
import dev.cofferdam.node.qemu.QemuHypervisor;
import java.nio.charset.StandardCharsets;

/** The driver against the real QEMU. */
class QemuTest extends GuestContract {
  private final Hypervisor hypervisor =
      new QemuHypervisor(world.helper(), processes(), world.sandboxes(), "test");

  @Override
  protected Hypervisor hypervisor() {
    return hypervisor;
  }

  @Override
  protected String reset() {
    return "guest-reset";
  }

  /** The machine's type comes first, after its length. */
  @Override
  protected byte[] ofAnotherVersion(byte[] state) {
    String type = new String(state, 13, state[12], StandardCharsets.US_ASCII);
    byte[] other = state.clone();
    assertThat(type).startsWith("pc-i440fx-");
    other[12 + state[12]]++;
    return other;
  }
}
