package dev.cofferdam.node.fake;

import dev.cofferdam.node.machine.Hypervisor;
import dev.cofferdam.node.machine.Isolation;
import dev.cofferdam.node.machine.Machine;
import dev.cofferdam.node.machine.MachineException;
import dev.cofferdam.node.machine.MachineSpec;
import dev.cofferdam.node.machine.ProcessId;
import dev.cofferdam.node.machine.Steps;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;

/** Machines that only have a state. */
public final class FakeHypervisor implements Hypervisor {
  private final Kernel kernel;
  private final Acts acts;
  private final Path sandboxRoot;

  public FakeHypervisor(Kernel kernel, Acts acts, Path sandboxRoot) {
    this.kernel = kernel;
    this.acts = acts;
    this.sandboxRoot = sandboxRoot;
  }

  @Override
  public String name() {
    return "fake";
  }

  @Override
  public Isolation isolation() {
    return Isolation.EMULATED;
  }

  @Override
  public String fingerprint(MachineSpec spec) {
    return "fake 1";
  }

  @Override
  public Machine boot(MachineSpec spec, Steps steps) {
    return start(spec, false);
  }

  @Override
  public Machine bootForSnapshot(MachineSpec spec, Steps steps) {
    return start(spec, true);
  }

  @Override
  public Machine restore(MachineSpec spec, String template, Steps steps) {
    return start(spec, false);
  }

  @Override
  public Machine adopt(String sandbox, int slot, ProcessId process) {
    acts.act("machine.adopt");
    if (!kernel.alive(process)) {
      throw new MachineException(process + " is gone");
    }
    FakeMachine machine = new FakeMachine(sandbox, slot, false);
    machine.process = process;
    machine.running = true;
    kernel.listen(slot, machine::died);
    return machine;
  }

  @Override
  public Path directory(String sandbox) {
    return sandboxRoot.resolve(sandbox);
  }

  private Machine start(MachineSpec spec, boolean snapshot) {
    acts.act("machine.start");
    if (!Files.isRegularFile(directory(spec.sandbox()).resolve(MachineSpec.DISK))) {
      throw new MachineException("no disk");
    }
    FakeMachine machine = new FakeMachine(spec.sandbox(), spec.slot(), snapshot);
    machine.process = kernel.start(spec.slot(), spec.sandbox(), machine::died);
    return machine;
  }

  private final class FakeMachine implements Machine {
    private final String sandbox;
    private final int slot;
    private final boolean snapshot;
    private final CompletableFuture<String> ended = new CompletableFuture<>();
    private ProcessId process = new ProcessId(2, 0);
    private boolean running;
    private volatile boolean letGo;

    FakeMachine(String sandbox, int slot, boolean snapshot) {
      this.sandbox = sandbox;
      this.slot = slot;
      this.snapshot = snapshot;
    }

    @Override
    public ProcessId process() {
      return process;
    }

    @Override
    public void resume() {
      acts.act("machine.resume");
      alive();
      running = true;
    }

    @Override
    public void pause() {
      acts.act("machine.pause");
      alive();
      running = false;
    }

    @Override
    public void snapshot() {
      acts.act("machine.snapshot");
      alive();
      if (running || !snapshot) {
        throw new MachineException(sandbox + " cannot be snapshotted now");
      }
      try {
        Files.write(directory(sandbox).resolve(MachineSpec.RAM), new byte[8192]);
        Files.writeString(directory(sandbox).resolve(MachineSpec.STATE), "state");
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }

    @Override
    public CompletionStage<String> ended() {
      return ended.minimalCompletionStage();
    }

    @Override
    public void stop() {
      letGo = true;
      acts.act("machine.stop");
      kernel.kill(slot);
      ended.complete("stopped");
    }

    @Override
    public void close() {
      letGo = true;
    }

    private void alive() {
      if (!kernel.alive(process)) {
        throw new MachineException(sandbox + " is gone");
      }
    }

    private void died() {
      if (!letGo) {
        ended.complete("killed");
      }
    }
  }
}
