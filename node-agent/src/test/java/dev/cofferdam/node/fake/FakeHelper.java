package dev.cofferdam.node.fake;

import dev.cofferdam.node.helper.HelperException;
import dev.cofferdam.node.helper.HelperException.Code;
import dev.cofferdam.node.helper.NodeHelper;
import dev.cofferdam.node.helper.SlotDrop;
import dev.cofferdam.node.helper.SlotInfo;
import dev.cofferdam.node.helper.VmmStart;
import dev.cofferdam.node.machine.ProcessId;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.function.Consumer;
import java.util.stream.Stream;

/** node-helper over a {@link Kernel}. What it starts as a VMM is up to the test. */
public final class FakeHelper implements NodeHelper {
  /** Starts something and says which process it is. */
  @FunctionalInterface
  public interface Launcher {
    ProcessId launch(VmmStart start);
  }

  private final Kernel kernel;
  private final Acts acts;
  private final Path sandboxRoot;
  private final Launcher launcher;
  private final BlockingQueue<SlotDrop> drops = new LinkedBlockingQueue<>();

  public FakeHelper(Kernel kernel, Acts acts, Path sandboxRoot, Launcher launcher) {
    this.kernel = kernel;
    this.acts = acts;
    this.sandboxRoot = sandboxRoot;
    this.launcher = launcher;
  }

  @Override
  public void ensureGate() {
    acts.act("gate.ensure");
  }

  @Override
  public SlotInfo createSlot(int slot) {
    acts.act("slot.create");
    kernel.createSlot(slot);
    return new SlotInfo(slot, "100.80.0." + slot, sandboxRoot.resolveSibling(slot + ".sock"));
  }

  @Override
  public void destroySlot(int slot) {
    acts.act("slot.destroy");
    acts.mayFail("slot.destroy." + slot);
    kernel.destroySlot(slot);
  }

  @Override
  public List<Integer> listSlots() {
    acts.act("slot.list");
    return List.copyOf(kernel.slots());
  }

  @Override
  public void prepareSandbox(int slot, String sandbox, List<String> files) {
    acts.act("sandbox.prepare");
    for (String file : files) {
      if (!Files.isRegularFile(sandboxRoot.resolve(sandbox).resolve(file))) {
        throw new HelperException(Code.NOT_FOUND, file + " of " + sandbox);
      }
    }
  }

  @Override
  public void removeSandbox(String sandbox) {
    acts.act("sandbox.remove");
    Path directory = sandboxRoot.resolve(sandbox);
    if (!Files.exists(directory)) {
      return;
    }
    try (Stream<Path> files = Files.walk(directory)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void loadTemplate(String template) {
    acts.act("template.load");
  }

  @Override
  public void forgetTemplate(String template) {
    acts.act("template.forget");
  }

  @Override
  public ProcessId startVmm(VmmStart start) {
    acts.act("vmm.start");
    return launcher.launch(start);
  }

  @Override
  public String stopVmm(int slot) {
    acts.act("vmm.stop");
    kernel.kill(slot);
    return "";
  }

  @Override
  public void stopVmm(int slot, ProcessId process) {
    acts.act("vmm.stop");
    kernel.kill(slot, process);
  }

  /** Comes out of {@link #watchDrops}. */
  public void drop(SlotDrop drop) {
    drops.add(drop);
  }

  @Override
  public void watchDrops(Consumer<SlotDrop> consumer) {
    try {
      while (true) {
        consumer.accept(drops.take());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
