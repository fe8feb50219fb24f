package dev.cofferdam.node.qemu;

import dev.cofferdam.node.helper.VmmStart;
import dev.cofferdam.node.machine.ProcessId;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The machine's own QEMU without a jail, a network or a guest: what it does is what QEMU does, down
 * to its devices. The jail's paths and descriptors become real ones through a shell.
 */
final class RealQemu {
  static final Path BINARY = Path.of("/usr/bin/qemu-system-x86_64");

  private final Path sandboxes;
  private final Path templates;
  private final Map<Integer, Process> running = new ConcurrentHashMap<>();
  private final Map<Integer, Path> logs = new ConcurrentHashMap<>();

  RealQemu(Path sandboxes, Path templates) {
    this.sandboxes = sandboxes;
    this.templates = templates;
  }

  ProcessId start(VmmStart start) {
    Path directory = sandboxes.resolve(start.sandbox());
    List<String> command = new ArrayList<>(List.of("/bin/sh", "-c"));
    command.add(opened(start, directory) + "exec \"$@\"");
    command.add("qemu");
    command.add(BINARY.toString());
    List<String> arguments = new ArrayList<>(start.arguments());
    without(arguments, "-kernel");
    without(arguments, "-initrd");
    without(arguments, "-append");
    for (String argument : arguments) {
      for (int number = 0; number < start.volumes().size(); number++) {
        argument =
            argument.replace(
                "/volume/" + number,
                sandboxes.resolveSibling("v").resolve(start.volumes().get(number)).toString());
      }
      command.add(
          argument
              .replace("/sandbox/", directory + "/")
              .replace("/image/rootfs.erofs", "/dev/zero")
              .replace("tap,id=n0,fd=3", "hubport,id=n0,hubid=0"));
    }
    Path log = directory.resolve("vmm.log");
    logs.put(start.slot(), log);
    try {
      Process process =
          new ProcessBuilder(command)
              .redirectErrorStream(true)
              .redirectOutput(log.toFile())
              .start();
      running.put(start.slot(), process);
      return new ProcessId(process.pid(), startTime(process.pid()));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** 0, which no process has, for one that has ended already. */
  private static long startTime(long pid) {
    try {
      String stat = Files.readString(Path.of("/proc/" + pid + "/stat"));
      return Long.parseLong(stat.substring(stat.lastIndexOf(')') + 2).split(" ", -1)[19]);
    } catch (IOException e) {
      // There is no such file, or no such process any more behind it.
      return 0;
    }
  }

  private String opened(VmmStart start, Path directory) {
    if (start.own()) {
      return "exec 5<\"%s/state\" || exit 1; ".formatted(directory);
    }
    if (start.template().isEmpty()) {
      return "";
    }
    Path kept = templates.resolve(start.template());
    // Reading and writing would make the file.
    return "exec 5<\"%s/state\" 4<\"%s/ram\" || exit 1; exec 4<>\"%s/ram\"; "
        .formatted(kept, kept, kept);
  }

  /** As node-helper tells it. */
  String output(int slot) {
    Path log = logs.getOrDefault(slot, sandboxes);
    try {
      return Files.isRegularFile(log) ? Files.readString(log) : "";
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  void kill(int slot) {
    Process process = running.remove(slot);
    if (process != null) {
      Objects.requireNonNull(process.destroyForcibly());
      process.onExit().join();
    }
  }

  private static void without(List<String> arguments, String option) {
    int at = arguments.indexOf(option);
    if (at >= 0) {
      arguments.subList(at, at + 2).clear();
    }
  }
}
