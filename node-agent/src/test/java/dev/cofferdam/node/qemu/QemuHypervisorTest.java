package dev.cofferdam.node.qemu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.node.disk.SparseFile;
import dev.cofferdam.node.fake.Acts;
import dev.cofferdam.node.fake.FakeHelper;
import dev.cofferdam.node.fake.Kernel;
import dev.cofferdam.node.helper.NodeHelper;
import dev.cofferdam.node.helper.SlotDrop;
import dev.cofferdam.node.helper.SlotInfo;
import dev.cofferdam.node.helper.VmmStart;
import dev.cofferdam.node.machine.Hypervisor;
import dev.cofferdam.node.machine.HypervisorContract;
import dev.cofferdam.node.machine.LinuxProcessTable;
import dev.cofferdam.node.machine.Machine;
import dev.cofferdam.node.machine.MachineException;
import dev.cofferdam.node.machine.MachineSpec;
import dev.cofferdam.node.machine.ProcessId;
import dev.cofferdam.node.machine.ProcessTable;
import dev.cofferdam.node.machine.Small;
import dev.cofferdam.node.machine.Steps;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The driver against the real QEMU. */
class QemuHypervisorTest extends HypervisorContract {
  @TempDir Path directory;
  @TempDir Path small;
  private RealQemu qemu;

  @BeforeEach
  void needQemu() {
    qemu = new RealQemu(directory.resolve("s"), directory.resolve("t"));
    Assumptions.assumeTrue(Files.isExecutable(RealQemu.BINARY), "no QEMU on this machine");
  }

  @Override
  protected Hypervisor hypervisor() {
    return new QemuHypervisor(
        new Helper(), new LinuxProcessTable(), directory.resolve("s"), "test", path -> path);
  }

  @Override
  protected ProcessTable processes() {
    return new LinuxProcessTable();
  }

  @Override
  protected void kill(int slot) {
    qemu.kill(slot);
  }

  @Override
  protected void publish(Path source, String name) throws IOException {
    copyKept(source, directory.resolve("t").resolve(name));
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

  @Test
  void aMachineThatIsTooBusyToAnswerIsAdoptedAndObeysOnceItCan() throws Exception {
    Hypervisor hypervisor = hypervisor();
    Machine machine = hypervisor.boot(spec(hypervisor, "sb-busy", 1), new Steps(System::nanoTime));
    machine.close();
    signal("STOP", machine);
    Machine again = hypervisor.adopt("sb-busy", 1, SIZE, machine.process());
    assertThat(again.ended().toCompletableFuture()).isNotDone();
    signal("CONT", machine);
    again.resume();
    again.stop();
  }

  @Test
  void aMachineThatDoesNotComeUpSaysWhatItSaid() throws IOException {
    Hypervisor hypervisor = hypervisor();
    MachineSpec spec = spec(hypervisor, "sb-no-disk", 1);
    Files.delete(hypervisor.directory("sb-no-disk").resolve(MachineSpec.DISK));
    assertThatThrownBy(() -> hypervisor.boot(spec, new Steps(System::nanoTime)))
        .isInstanceOf(MachineException.class)
        .hasMessageContaining("Could not open");
  }

  private static void signal(String name, Machine machine) throws Exception {
    Process kill =
        new ProcessBuilder("kill", "-" + name, Long.toString(machine.process().pid())).start();
    assertThat(kill.waitFor()).isZero();
  }

  /** VMMs alone are real. */
  private final class Helper implements NodeHelper {
    private final NodeHelper rest =
        new FakeHelper(new Kernel(), new Acts(), directory, start -> qemu.start(start));

    @Override
    public void ensureGate() {
      rest.ensureGate();
    }

    @Override
    public SlotInfo createSlot(int slot) {
      return rest.createSlot(slot);
    }

    @Override
    public void destroySlot(int slot) {
      qemu.kill(slot);
    }

    @Override
    public List<Integer> listSlots() {
      return rest.listSlots();
    }

    @Override
    public void prepareSandbox(int slot, String sandbox, List<String> files) {
      rest.prepareSandbox(slot, sandbox, files);
    }

    @Override
    public void removeSandbox(String sandbox) {
      rest.removeSandbox(sandbox);
    }

    @Override
    public void loadTemplate(String template) {
      rest.loadTemplate(template);
    }

    @Override
    public void forgetTemplate(String template) {
      rest.forgetTemplate(template);
    }

    @Override
    public ProcessId startVmm(VmmStart start) {
      return rest.startVmm(start);
    }

    @Override
    public String stopVmm(int slot) {
      qemu.kill(slot);
      return qemu.output(slot);
    }

    @Override
    public void stopVmm(int slot, ProcessId process) {
      rest.stopVmm(slot, process);
    }

    @Override
    public void watchDrops(Consumer<SlotDrop> drops) {
      rest.watchDrops(drops);
    }
  }
}
