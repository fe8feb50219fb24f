package dev.cofferdam.node.fake;

import dev.cofferdam.node.machine.Hypervisor;
import dev.cofferdam.node.machine.Isolation;
import dev.cofferdam.node.machine.Machine;
import dev.cofferdam.node.machine.MachineException;
import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.node.machine.MachineSpec;
import dev.cofferdam.node.machine.ProcessId;
import dev.cofferdam.node.machine.Steps;
import dev.cofferdam.node.machine.WaitingMachine;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;

/** Machines that only have a state. */
public final class FakeHypervisor implements Hypervisor {
  /** How much it writes of a machine's memory. */
  public static final int RAM_BYTES = 8192;

  /** What it writes of a machine's memory. */
  public static String ram(Kernel.Memory memory) {
    String text = "%s,%s,%d".formatted(memory.token, memory.frozen, memory.counter);
    return text + " ".repeat(RAM_BYTES - text.length());
  }

  /** What it writes of a machine's devices. */
  public static final String STATE = "state 1";

  private final Kernel kernel;
  private final Acts acts;
  private final Path sandboxRoot;
  private final Path keptRoot;

  /**
   * @param keptRoot where templates and snapshots lie
   */
  public FakeHypervisor(Kernel kernel, Acts acts, Path sandboxRoot, Path keptRoot) {
    this.kernel = kernel;
    this.acts = acts;
    this.sandboxRoot = sandboxRoot;
    this.keptRoot = keptRoot;
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
    return start(spec);
  }

  @Override
  public WaitingMachine prepare(MachineSpec spec, String kept, Steps steps) {
    return waiting(spec, keptRoot.resolve(kept));
  }

  @Override
  public Machine wake(MachineSpec spec, Steps steps) {
    return waiting(spec, directory(spec.sandbox())).load(steps);
  }

  private WaitingMachine waiting(MachineSpec spec, Path from) {
    Machine machine = start(spec);
    return new WaitingMachine() {
      @Override
      public ProcessId process() {
        return machine.process();
      }

      @Override
      public Machine load(Steps steps) {
        acts.act("machine.load");
        if (!kernel.alive(machine.process())) {
          throw new MachineException(machine.process() + " is gone");
        }
        try {
          String ram = Files.readString(from.resolve(MachineSpec.RAM));
          if (ram.length() != RAM_BYTES
              || !Files.readString(from.resolve(MachineSpec.STATE)).equals(STATE)) {
            throw new IOException("not what this version writes");
          }
          String[] fields = ram.strip().split(",", -1);
          Kernel.Memory memory = kernel.memory(spec.slot()).orElseThrow();
          memory.token = fields[0];
          memory.frozen = Boolean.parseBoolean(fields[1]);
          memory.counter = Integer.parseInt(fields[2]);
          return machine;
        } catch (IOException e) {
          kernel.kill(spec.slot());
          throw new MachineException("not loaded: " + e.getMessage(), e);
        }
      }

      @Override
      public CompletionStage<String> ended() {
        return machine.ended();
      }

      @Override
      public void stop() {
        machine.stop();
      }

      @Override
      public void close() {
        machine.close();
      }
    };
  }

  @Override
  public Machine adopt(String sandbox, int slot, MachineSize size, ProcessId process) {
    acts.act("machine.adopt");
    if (!kernel.alive(process)) {
      throw new MachineException(process + " is gone");
    }
    FakeMachine machine = new FakeMachine(sandbox, slot);
    machine.process = process;
    kernel.listen(slot, machine::died);
    return machine;
  }

  @Override
  public Path directory(String sandbox) {
    return sandboxRoot.resolve(sandbox);
  }

  private Machine start(MachineSpec spec) {
    acts.act("machine.start");
    if (spec.diskVolume().isEmpty()
        && !Files.isRegularFile(directory(spec.sandbox()).resolve(MachineSpec.DISK))) {
      throw new MachineException("no disk");
    }
    FakeMachine machine = new FakeMachine(spec.sandbox(), spec.slot());
    machine.process = kernel.start(spec.slot(), spec.sandbox(), machine::died);
    kernel.memory(spec.slot()).orElseThrow().volumes = spec.jailed();
    return machine;
  }

  private final class FakeMachine implements Machine {
    private String sandbox;
    private final int slot;
    private final CompletableFuture<String> ended = new CompletableFuture<>();
    private ProcessId process = new ProcessId(2, 0);
    private volatile boolean letGo;

    FakeMachine(String sandbox, int slot) {
      this.sandbox = sandbox;
      this.slot = slot;
    }

    @Override
    public ProcessId process() {
      return process;
    }

    @Override
    public void resume() {
      acts.act("machine.resume");
      alive();
      memory().running = true;
    }

    @Override
    public void pause() {
      acts.act("machine.pause");
      alive();
      memory().running = false;
    }

    @Override
    public void snapshot(Path target) {
      acts.act("machine.snapshot");
      alive();
      if (memory().running) {
        throw new MachineException(sandbox + " runs");
      }
      Path ram = target.resolve(MachineSpec.RAM);
      Path state = target.resolve(MachineSpec.STATE);
      if (Files.exists(ram) || Files.exists(state)) {
        throw new MachineException(target + " is taken");
      }
      try {
        Files.writeString(ram, ram(memory()));
        Files.writeString(state, STATE);
      } catch (IOException e) {
        try {
          Files.deleteIfExists(ram);
          Files.deleteIfExists(state);
        } catch (IOException left) {
          e.addSuppressed(left);
        }
        throw new MachineException("not kept: " + e.getMessage(), e);
      }
    }

    @Override
    public void renamed(String name) {
      sandbox = name;
      kernel.rename(slot, name);
    }

    @Override
    public void growDisk(int mib) {
      acts.act("machine.grow");
      alive();
      Path disk = directory(sandbox).resolve(MachineSpec.DISK);
      try (FileChannel channel = FileChannel.open(disk, StandardOpenOption.WRITE)) {
        channel.write(ByteBuffer.allocate(1), ((long) mib << 20) - 1);
      } catch (IOException e) {
        throw new MachineException("not grown: " + e.getMessage(), e);
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

    private Kernel.Memory memory() {
      return kernel.memory(slot).orElseThrow(() -> new MachineException(sandbox + " is gone"));
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
