package dev.cofferdam.node.fake;

import dev.cofferdam.node.disk.SparseFile;
import dev.cofferdam.node.machine.Hypervisor;
import dev.cofferdam.node.machine.HypervisorContract;
import dev.cofferdam.node.machine.ProcessTable;
import dev.cofferdam.node.machine.Small;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.io.TempDir;

class FakeHypervisorTest extends HypervisorContract {
  private final Kernel kernel = new Kernel();
  @TempDir Path directory;
  @TempDir Path small;

  @Override
  protected Hypervisor hypervisor() {
    kernel.createSlot(1);
    kernel.createSlot(2);
    return new FakeHypervisor(kernel, new Acts(), directory.resolve("s"), directory.resolve("k"));
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
  protected void publish(Path source, String name) throws IOException {
    copyKept(source, directory.resolve("k").resolve(name));
  }

  @Override
  protected byte[] ofAnotherVersion(byte[] state) {
    return "state 2".getBytes(StandardCharsets.UTF_8);
  }

  @Override
  protected Path volume(String name, long bytes) throws IOException {
    Path file = Files.createDirectories(directory.resolve("v")).resolve(name);
    SparseFile.create(file, bytes).close();
    return file;
  }

  @Override
  protected Path fullDirectory() throws IOException {
    return Small.directory(small);
  }

  @AfterEach
  void unmount() {
    Small.unmount(small);
  }
}
