package dev.cofferdam.deploy.demo;

import dev.cofferdam.deploy.account.Commands;
import dev.cofferdam.deploy.mesh.MeshLayout;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What root sees from outside: processes, namespaces, files, the uplink's counters, the upstream's
 * record.
 */
final class Machine {
  private static final Pattern UNEXPECTED = Pattern.compile("\"unexpected\": (\\d+)");
  private static final int TRIES = 150;
  private static final long INTERVAL_NANOS = TimeUnit.MILLISECONDS.toNanos(100);

  private final MeshLayout layout;
  private final Path stageScript;
  private final String stage;
  private final Path requests;

  Machine(MeshLayout layout, Path stageScript, String stage, Path requests) {
    this.layout = layout;
    this.stageScript = stageScript;
    this.stage = stage;
    this.requests = requests;
  }

  /** Packets that reached the uplink and were not the gateway's to an allowed host. */
  int unexpectedPackets() throws IOException {
    String counters = Commands.run(List.of(stageScript.toString(), "counters", stage));
    Matcher matcher = UNEXPECTED.matcher(counters);
    if (!matcher.find()) {
      throw new IOException("the stage's counters are " + counters);
    }
    return Integer.parseInt(matcher.group(1));
  }

  /** The requests that the upstream received, one JSON object each, oldest first. */
  List<String> received() throws IOException {
    return Files.exists(requests) ? Files.readAllLines(requests) : List.of();
  }

  /** Processes whose command line holds {@code text}. */
  Set<Long> processesNaming(String text) throws IOException {
    Set<Long> found = new TreeSet<>();
    try (DirectoryStream<Path> processes = Files.newDirectoryStream(Path.of("/proc"), "[0-9]*")) {
      for (Path process : processes) {
        if (read(process.resolve("cmdline")).contains(text)) {
          found.add(Long.parseLong(process.getFileName().toString()));
        }
      }
    }
    return found;
  }

  private static String read(Path file) {
    try {
      return Files.readString(file, StandardCharsets.ISO_8859_1);
    } catch (IOException e) {
      // It ended meanwhile.
      return "";
    }
  }

  boolean hasFilesOf(String sandbox) {
    return Files.exists(layout.sandboxes().resolve(sandbox));
  }

  /** Processes that have the sandbox's disk open: its virtual machine. */
  Set<Long> machines(String sandbox) throws IOException {
    Path disk = layout.sandboxes().resolve(sandbox).resolve("disk.ext4");
    Set<Long> found = new TreeSet<>();
    try (DirectoryStream<Path> processes = Files.newDirectoryStream(Path.of("/proc"), "[0-9]*")) {
      for (Path process : processes) {
        if (opened(process, disk)) {
          found.add(Long.parseLong(process.getFileName().toString()));
        }
      }
    }
    return found;
  }

  /** In its jail the disk has another name, so the file itself is compared. */
  private static boolean opened(Path process, Path file) {
    try (DirectoryStream<Path> descriptors = Files.newDirectoryStream(process.resolve("fd"))) {
      for (Path descriptor : descriptors) {
        if (Files.exists(descriptor) && Files.isSameFile(descriptor, file)) {
          return true;
        }
      }
    } catch (IOException e) {
      // It ended meanwhile.
    }
    return false;
  }

  boolean runs(long pid) {
    return Files.exists(Path.of("/proc", Long.toString(pid)));
  }

  /**
   * Leaves a mark in the network namespace of a process. Names and numbers of slots are used again,
   * and how many there are is the pool's affair: the mark is in this one namespace, with its tap,
   * as long as it lives.
   */
  void markSlot(long pid, String mark) throws IOException {
    Commands.run(
        List.of(
            "nsenter",
            "--net=/proc/" + pid + "/ns/net",
            "ip",
            "link",
            "set",
            "dev",
            "lo",
            "alias",
            mark));
  }

  /** Whether a slot with the mark is left. */
  boolean slotMarked(String mark) throws IOException {
    for (String slot : slots()) {
      try {
        if (Commands.run(List.of("ip", "-n", slot, "link", "show", "dev", "lo")).contains(mark)) {
          return true;
        }
      } catch (IOException e) {
        // It went while it was looked at.
      }
    }
    return false;
  }

  /** Network namespaces of this mesh that are slots. */
  private List<String> slots() throws IOException {
    List<String> found = new ArrayList<>();
    try (DirectoryStream<Path> names =
        Files.newDirectoryStream(Path.of("/run/netns"), stage + "-s[0-9]*")) {
      names.forEach(name -> found.add(name.getFileName().toString()));
    }
    return found;
  }

  /** Kills a service and keeps it dead while {@code meanwhile} runs, by holding its supervisor. */
  <T> T without(String service, Callable<T> meanwhile) throws Exception {
    String launcher = pid("launcher");
    Commands.run(List.of("kill", "-s", "STOP", launcher));
    try {
      Commands.run(List.of("kill", "-s", "KILL", pid(service)));
      return meanwhile.call();
    } finally {
      Commands.run(List.of("kill", "-s", "CONT", launcher));
    }
  }

  private String pid(String process) throws IOException {
    return Files.readString(layout.pidFile(process)).strip();
  }

  /** Asks again until it is so, for about 15 s; what others report takes its time. */
  static boolean soon(Question question) throws IOException, ClaimFailed {
    for (int i = 0; i < TRIES; i++) {
      if (question.isSo()) {
        return true;
      }
      LockSupport.parkNanos(INTERVAL_NANOS);
    }
    return false;
  }

  /** Whether something is so by now. */
  interface Question {
    boolean isSo() throws IOException, ClaimFailed;
  }
}
