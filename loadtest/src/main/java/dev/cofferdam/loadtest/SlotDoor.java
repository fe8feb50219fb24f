package dev.cofferdam.loadtest;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;

/**
 * Lets a process of the host speak from a sandbox's slot, so that the gateway is measured without
 * an emulated processor in the way: the same address, veth, gate, listener and policy as the
 * guest's, less the tap. Only for the mesh of a load test: it opens the slot's rules. They go with
 * the slot. Needs root.
 */
final class SlotDoor {
  /** The slot's own address on the guest's link: what a process there speaks from. */
  private static final String ROUTER = "169.254.0.22";

  private static final Path NAMESPACES = Path.of("/run/netns");

  private final Path namespace;

  private SlotDoor(Path namespace) {
    this.namespace = namespace;
  }

  /** The slot is where the sandbox's VMM lives. */
  static SlotDoor open(Path state, String sandbox) throws IOException {
    Path directory = state.resolve("node/sandboxes").resolve(sandbox);
    SlotDoor door = new SlotDoor(namespaceOf(directory));
    List<String> rules =
        List.of(
            "insert rule ip cofferdam output oifname up0 meta l4proto tcp accept",
            "insert rule ip cofferdam input iifname up0 meta l4proto tcp accept",
            // The slot translates without state: what it gives the guest now comes here instead.
            "insert rule ip cofferdam raw iifname up0 meta l4proto tcp notrack ip daddr set "
                + ROUTER
                + " accept");
    for (String rule : rules) {
      door.inside(List.of("nft", rule));
    }
    return door;
  }

  /** The command that runs another one in the slot. */
  List<String> prefix() {
    return List.of("nsenter", "--net=" + namespace, "--");
  }

  private void inside(List<String> command) throws IOException {
    List<String> words = new ArrayList<>(prefix());
    words.addAll(command);
    Process process = new ProcessBuilder(words).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    try {
      if (process.waitFor() != 0) {
        throw new IOException(words + " failed: " + output.strip());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
  }

  private static Path namespaceOf(Path directory) throws IOException {
    try (Stream<Path> processes = Files.list(Path.of("/proc"))) {
      for (Path process : processes.filter(SlotDoor::isProcess).toList()) {
        if (uses(process, directory)) {
          return named(process.resolve("ns/net"));
        }
      }
    }
    throw new IOException("no process has a file of " + directory + " open");
  }

  private static boolean isProcess(Path path) {
    return path.getFileName().toString().chars().allMatch(Character::isDigit);
  }

  private static boolean uses(Path process, Path directory) {
    try (Stream<Path> files = Files.list(process.resolve("fd"))) {
      for (Path file : files.toList()) {
        // Seen from the jail the name is another, but the file is the same.
        Path disk = directory.resolve("disk.ext4");
        if (Files.exists(disk) && Files.isSameFile(file, disk)) {
          return true;
        }
      }
    } catch (IOException e) {
      return false;
    }
    return false;
  }

  private static Path named(Path namespace) throws IOException {
    Object wanted = Files.getAttribute(namespace, "unix:ino");
    try (Stream<Path> names = Files.list(NAMESPACES)) {
      for (Path name : names.toList()) {
        if (Objects.equals(Files.getAttribute(name, "unix:ino"), wanted)) {
          return name;
        }
      }
    }
    throw new IOException(namespace + " has no name in " + NAMESPACES);
  }
}
