package dev.cofferdam.node.machine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.node.disk.SparseFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What every hypervisor does alike. */
public abstract class HypervisorContract {
  private static final String A = "sb-aaaaaaaaaaaaaaaaaaaa";
  private static final String B = "sb-bbbbbbbbbbbbbbbbbbbb";
  private static final String TEMPLATE = "feedfeedfeedfeed";

  private final Steps steps = new Steps(System::nanoTime);

  /** A new one whose slots 1 and 2 stand. */
  protected abstract Hypervisor hypervisor();

  protected abstract ProcessTable processes();

  /** Ends the VMM in a slot as the kernel would. */
  protected abstract void kill(int slot);

  /** Puts a snapshot's files where restores of the template find them. */
  protected abstract void publish(Path directory, String template) throws IOException;

  @AfterEach
  void killAll() {
    kill(1);
    kill(2);
  }

  @Test
  void aMachineStartsPausedAndRunsWhenTold() throws IOException {
    Hypervisor hypervisor = hypervisor();
    Machine machine = hypervisor.boot(spec(hypervisor, A, 1), steps);
    assertThat(processes().alive(machine.process())).isTrue();
    machine.resume();
    machine.pause();
    machine.resume();
    machine.stop();
    assertThat(processes().alive(machine.process())).isFalse();
    machine.stop();
    assertThatThrownBy(machine::resume).isInstanceOf(MachineException.class);
  }

  @Test
  void aMachineThatDiesSaysSo() throws Exception {
    Hypervisor hypervisor = hypervisor();
    Machine machine = hypervisor.boot(spec(hypervisor, A, 1), steps);
    machine.resume();
    assertThat(machine.ended().toCompletableFuture()).isNotDone();
    kill(1);
    assertThat(machine.ended().toCompletableFuture().get(10, TimeUnit.SECONDS)).isNotEmpty();
  }

  @Test
  void lettingGoLeavesItRunningForWhoAdoptsIt() throws Exception {
    Hypervisor hypervisor = hypervisor();
    Machine machine = hypervisor.boot(spec(hypervisor, A, 1), steps);
    machine.resume();
    machine.close();
    Machine again = hypervisor.adopt(A, 1, machine.process());
    again.pause();
    again.resume();
    kill(1);
    assertThat(again.ended().toCompletableFuture().get(10, TimeUnit.SECONDS)).isNotEmpty();
    assertThatThrownBy(() -> hypervisor.adopt(A, 1, machine.process()))
        .isInstanceOf(MachineException.class);
  }

  @Test
  void aSnapshotRestores() throws IOException {
    Hypervisor hypervisor = hypervisor();
    Machine source = hypervisor.bootForSnapshot(spec(hypervisor, A, 1), steps);
    source.resume();
    assertThatThrownBy(source::snapshot).isInstanceOf(MachineException.class);
    source.pause();
    source.snapshot();
    source.stop();
    assertThat(hypervisor.directory(A).resolve(MachineSpec.RAM)).isNotEmptyFile();
    assertThat(hypervisor.directory(A).resolve(MachineSpec.STATE)).isNotEmptyFile();
    publish(hypervisor.directory(A), TEMPLATE);

    Machine clone = hypervisor.restore(spec(hypervisor, B, 2), TEMPLATE, steps);
    clone.resume();
    assertThat(processes().alive(clone.process())).isTrue();
    clone.stop();
  }

  @Test
  void onlyAMachineMadeForItIsSnapshotted() throws IOException {
    Hypervisor hypervisor = hypervisor();
    Machine machine = hypervisor.boot(spec(hypervisor, A, 1), steps);
    assertThatThrownBy(machine::snapshot).isInstanceOf(MachineException.class);
    machine.stop();
  }

  @Test
  void aStartThatFailsLeavesNoProcess() throws IOException {
    Hypervisor hypervisor = hypervisor();
    MachineSpec spec = spec(hypervisor, A, 1);
    Files.delete(hypervisor.directory(A).resolve(MachineSpec.DISK));
    assertThatThrownBy(() -> hypervisor.boot(spec, steps)).isInstanceOf(MachineException.class);
    SparseFile.create(hypervisor.directory(A).resolve(MachineSpec.DISK), 1 << 20).close();
    hypervisor.boot(spec, steps).stop();
  }

  protected static MachineSpec spec(Hypervisor hypervisor, String sandbox, int slot)
      throws IOException {
    Path directory = Files.createDirectories(hypervisor.directory(sandbox));
    Path disk = directory.resolve(MachineSpec.DISK);
    if (!Files.exists(disk)) {
      SparseFile.create(disk, 64L << 20).close();
    }
    return new MachineSpec(sandbox, slot, "0123456789abcdef", new MachineSize(1, 128, 64), "quiet");
  }
}
