package dev.cofferdam.node.world;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.cofferdam.node.disk.MkfsDisks;
import dev.cofferdam.node.disk.SandboxFiles;
import dev.cofferdam.node.disk.SparseFile;
import dev.cofferdam.node.guest.GuestConnector;
import dev.cofferdam.node.helper.HelperClient;
import dev.cofferdam.node.helper.NodeHelper;
import dev.cofferdam.node.helper.VmmStart;
import dev.cofferdam.node.image.Image;
import dev.cofferdam.node.machine.MachineSpec;
import dev.cofferdam.node.probe.GuestProof;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;

/** What testkit/nested/inside has made: node-helper with its directories, and an image. */
final class World implements AutoCloseable {
  /** The only image, under the contract's name for it. */
  static final String IMAGE = "0123456789abcdef";

  private static final Path IMAGES = Path.of(System.getProperty("cofferdam.image", "/nowhere"));

  private static final int SLOTS = 3;

  private final Path root = Path.of(System.getProperty("cofferdam.world", "/nowhere"));
  private final HelperClient helper =
      new HelperClient(root.resolve("run/helper.sock"), new SimpleMeterRegistry());

  /** Gives a sandbox's files to its VMM before that starts, as who makes or wakes one does. */
  NodeHelper helper() {
    return (NodeHelper)
        Proxy.newProxyInstance(
            NodeHelper.class.getClassLoader(),
            new Class<?>[] {NodeHelper.class},
            (_, method, arguments) -> {
              if (arguments != null
                  && arguments.length == 1
                  && arguments[0] instanceof VmmStart start) {
                helper.prepareSandbox(start.slot(), start.sandbox(), parts(start));
              }
              try {
                return method.invoke(helper, arguments);
              } catch (InvocationTargetException e) {
                throw e.getCause() == null ? e : e.getCause();
              }
            });
  }

  private static List<String> parts(VmmStart start) {
    return start.own()
        ? List.of(MachineSpec.DISK, MachineSpec.RAM, MachineSpec.STATE)
        : List.of(MachineSpec.DISK);
  }

  /** The image's own kernel arguments. */
  String arguments() throws IOException {
    return new ObjectMapper()
        .readTree(IMAGES.resolve("manifest.json").toFile())
        .path("cmdline")
        .asText();
  }

  Image image(String arguments) throws IOException {
    long bytes = Files.size(IMAGES.resolve("disk.ext4"));
    return new Image(IMAGE, IMAGES, arguments, List.of(), Math.toIntExact(bytes >> 20));
  }

  /** As a node boots one, which makes the slot and the files by itself. */
  GuestProof proof(GuestConnector guests, Duration patience) {
    SandboxFiles files = new SandboxFiles(sandboxes(), root.resolve("state/tokens"), helper);
    return new GuestProof(helper, files, guests, System::nanoTime, patience);
  }

  /** The program. */
  Path cloudHypervisor() {
    return IMAGES.resolveSibling("../cloud-hypervisor").normalize();
  }

  /** Where a node remembers which driver it took. */
  Path memory() {
    return root.resolve("state/hypervisor");
  }

  Path sandboxes() {
    return root.resolve("sandboxes");
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

  Path volume(String name) {
    return root.resolve("volumes").resolve(name);
  }

  Path emptyVolume(String name, long bytes) throws IOException {
    Path file = volume(name);
    SparseFile.create(file, bytes).close();
    return file;
  }

  /** One that a guest can mount. */
  void formattedVolume(String name, int mib) throws IOException {
    MkfsDisks.forVolumes().format(volume(name), mib);
  }

  /** The slots, and nothing of an earlier test. */
  void clean() throws IOException {
    for (int slot = 1; slot <= SLOTS; slot++) {
      var _ = helper.createSlot(slot);
      kill(slot);
    }
    for (Path sandbox : list(sandboxes())) {
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
    Files.deleteIfExists(memory());
    for (Path volume : list(root.resolve("volumes"))) {
      Files.delete(volume);
    }
  }

  @Override
  public void close() {
    for (int slot = 1; slot <= SLOTS; slot++) {
      kill(slot);
    }
    helper.close();
  }

  private static List<Path> list(Path directory) throws IOException {
    try (Stream<Path> entries = Files.list(directory)) {
      return entries.toList();
    }
  }
}
