package dev.cofferdam.node.cloudhypervisor;

import dev.cofferdam.node.helper.HelperClient;
import dev.cofferdam.node.helper.NodeHelper;
import dev.cofferdam.node.helper.VmmStart;
import dev.cofferdam.node.machine.LinuxProcessTable;
import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.node.machine.MachineSpec;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** What testkit/nested/inside has made: node-helper with its directories, and an image. */
final class World implements AutoCloseable {
  /** The only image, under the contract's name for it. */
  private static final String IMAGE = "0123456789abcdef";

  private final Path root = Path.of(System.getProperty("cofferdam.world", "/nowhere"));
  private final HelperClient helper =
      new HelperClient(root.resolve("run/helper.sock"), new SimpleMeterRegistry());
  private final CloudHypervisor hypervisor =
      new CloudHypervisor(
          preparing(helper),
          new LinuxProcessTable(),
          root.resolve("sandboxes"),
          templates(),
          "test",
          Landlock.usable(Path.of("/proc/sys/kernel/osrelease")));

  CloudHypervisor hypervisor() {
    return hypervisor;
  }

  Path templates() {
    return root.resolve("templates");
  }

  /** A file system of 4 KiB. */
  Path full() {
    return root.resolve("full");
  }

  Path link(int slot) {
    return helper.createSlot(slot).link();
  }

  void kill(int slot) {
    String words = helper.stopVmm(slot);
    if (!words.isEmpty()) {
      System.out.println("the VMM in slot " + slot + " said: " + words);
    }
  }

  MachineSpec spec(String sandbox, int slot, MachineSize size, String arguments) {
    return new MachineSpec(sandbox, slot, IMAGE, size, arguments);
  }

  /** Two slots, and nothing of an earlier test. */
  void clean() throws IOException {
    for (int slot : List.of(1, 2)) {
      var _ = helper.createSlot(slot);
      kill(slot);
    }
    for (Path sandbox : list(root.resolve("sandboxes"))) {
      helper.removeSandbox(String.valueOf(sandbox.getFileName()));
    }
    for (Path template : list(templates())) {
      // The helper keeps memory by a name that is never given twice, but by tests.
      helper.forgetTemplate(String.valueOf(template.getFileName()));
      for (Path file : list(template)) {
        Files.delete(file);
      }
      Files.delete(template);
    }
  }

  @Override
  public void close() {
    hypervisor.close();
    helper.close();
  }

  private static List<Path> list(Path directory) throws IOException {
    try (Stream<Path> entries = Files.list(directory)) {
      return entries.toList();
    }
  }

  /** Gives a sandbox's disk to its VMM before that starts, as who makes a sandbox does. */
  private static NodeHelper preparing(NodeHelper helper) {
    return (NodeHelper)
        Proxy.newProxyInstance(
            NodeHelper.class.getClassLoader(),
            new Class<?>[] {NodeHelper.class},
            (_, method, arguments) -> {
              if (arguments != null
                  && arguments.length == 1
                  && arguments[0] instanceof VmmStart start) {
                helper.prepareSandbox(start.slot(), start.sandbox(), List.of(MachineSpec.DISK));
              }
              try {
                return method.invoke(helper, arguments);
              } catch (InvocationTargetException e) {
                throw e.getCause() == null ? e : e.getCause();
              }
            });
  }
}
