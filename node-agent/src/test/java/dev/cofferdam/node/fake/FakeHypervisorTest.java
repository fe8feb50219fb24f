package dev.cofferdam.node.fake;

import dev.cofferdam.node.machine.Hypervisor;
import dev.cofferdam.node.machine.HypervisorContract;
import dev.cofferdam.node.machine.ProcessTable;
import java.nio.file.Path;
import org.junit.jupiter.api.io.TempDir;

class FakeHypervisorTest extends HypervisorContract {
  private final Kernel kernel = new Kernel();
  @TempDir Path directory;

  @Override
  protected Hypervisor hypervisor() {
    kernel.createSlot(1);
    kernel.createSlot(2);
    return new FakeHypervisor(kernel, new Acts(), directory);
  }

  @Override
  protected ProcessTable processes() {
    return kernel;
  }

  @Override
  protected void kill(int slot) {
    kernel.kill(slot);
  }

  @Override
  protected void publish(Path source, String template) {}
}
