package dev.cofferdam.deploy.demo;

import dev.cofferdam.deploy.account.Commands;
import dev.cofferdam.deploy.mesh.MeshLayout;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
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

  /** Network namespaces of this mesh. */
  Set<String> namespaces() throws IOException {
    Set<String> found = new TreeSet<>();
    try (DirectoryStream<Path> names =
        Files.newDirectoryStream(Path.of("/run/netns"), stage + "-*")) {
      names.forEach(name -> found.add(name.getFileName().toString()));
    }
    return found;
  }

  boolean hasFilesOf(String sandbox) {
    return Files.exists(layout.sandboxes().resolve(sandbox));
  }

  /** Virtual machines that run for this mesh: QEMU in one of its slots' namespaces. */
  Set<Long> machines() throws IOException {
    Set<Long> found = new TreeSet<>();
    for (String slot : slots()) {
      for (String pid : Commands.run(List.of("ip", "netns", "pids", slot)).split("\\s+", -1)) {
        if (!pid.isEmpty() && read(Path.of("/proc", pid, "comm")).startsWith("qemu")) {
          found.add(Long.parseLong(pid));
        }
      }
    }
    return found;
  }

  boolean runs(long pid) {
    return Files.exists(Path.of("/proc", Long.toString(pid)));
  }

  /** Taps in the slots of this mesh. */
  int taps() throws IOException {
    int count = 0;
    for (String slot : slots()) {
      count +=
          (int)
              Commands.run(List.of("ip", "-n", slot, "-o", "tuntap", "show"))
                  .lines()
                  .filter(line -> line.contains("tap"))
                  .count();
    }
    return count;
  }

  private List<String> slots() throws IOException {
    return namespaces().stream()
        .filter(name -> name.matches(Pattern.quote(stage) + "-s\\d+"))
        .toList();
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
