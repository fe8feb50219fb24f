package dev.cofferdam.node.pressure;

import com.sun.management.UnixOperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalDouble;
import java.util.function.LongSupplier;

/** The host as the kernel tells it: proc(5) and statvfs(3). Costs some files' reading. */
public final class LinuxHost implements HostReader {
  private static final String STALL = "some avg10=";
  private static final long KIB_PER_MIB = 1024;

  private final Path proc;
  private final Path sandboxRoot;
  private final LongSupplier ownDescriptors;

  public LinuxHost(Path sandboxRoot) {
    this(Path.of("/proc"), sandboxRoot, LinuxHost::descriptorsLeft);
  }

  LinuxHost(Path proc, Path sandboxRoot, LongSupplier ownDescriptors) {
    this.proc = proc;
    this.sandboxRoot = sandboxRoot;
    this.ownDescriptors = ownDescriptors;
  }

  @Override
  public HostView read() throws IOException {
    return new HostView(
        memoryMib(),
        memoryStall(),
        Files.getFileStore(sandboxRoot).getUsableSpace() >> 20,
        pids(),
        Math.min(ownDescriptors.getAsLong(), hostsDescriptors()));
  }

  private static long descriptorsLeft() {
    if (ManagementFactory.getOperatingSystemMXBean() instanceof UnixOperatingSystemMXBean system) {
      return system.getMaxFileDescriptorCount() - system.getOpenFileDescriptorCount();
    }
    throw new IllegalStateException("every JDK on Linux counts descriptors");
  }

  private long memoryMib() throws IOException {
    for (String line : Files.readAllLines(proc.resolve("meminfo"))) {
      if (line.startsWith("MemAvailable:")) {
        return number("meminfo", words(line, 3)[1]) / KIB_PER_MIB;
      }
    }
    throw new IOException(proc.resolve("meminfo") + " tells no MemAvailable");
  }

  private OptionalDouble memoryStall() throws IOException {
    List<String> lines;
    try {
      lines = Files.readAllLines(proc.resolve("pressure/memory"));
    } catch (NoSuchFileException e) {
      return OptionalDouble.empty();
    } catch (IOException e) {
      // A kernel that was booted with psi=0 has the file, and does not let it be opened.
      if (String.valueOf(e.getMessage()).contains("Operation not supported")) {
        return OptionalDouble.empty();
      }
      throw e;
    }
    for (String line : lines) {
      if (line.startsWith(STALL)) {
        String percent = line.substring(STALL.length()).split(" ", 2)[0];
        try {
          return OptionalDouble.of(Double.parseDouble(percent));
        } catch (NumberFormatException e) {
          throw new IOException("pressure/memory says '" + percent + "', expected a number", e);
        }
      }
    }
    return OptionalDouble.empty();
  }

  /** The fourth word of loadavg is "running/all", of threads. */
  private long pids() throws IOException {
    String threads = words(line("loadavg"), 5)[3];
    long all = number("loadavg", threads.substring(threads.indexOf('/') + 1));
    return Math.min(setting("kernel/pid_max"), setting("kernel/threads-max")) - all;
  }

  /** file-nr is "allocated, 0, most". */
  private long hostsDescriptors() throws IOException {
    String[] counts = words(line("sys/fs/file-nr"), 3);
    return number("file-nr", counts[2]) - number("file-nr", counts[0]);
  }

  private long setting(String name) throws IOException {
    return number(name, line("sys/" + name));
  }

  /**
   * The first line. Through a buffer: what lies under /proc/sys gives a second read nothing, and
   * {@code Files.readString} begins with a byte.
   */
  private String line(String name) throws IOException {
    List<String> lines = Files.readAllLines(proc.resolve(name));
    if (lines.isEmpty()) {
      throw new IOException(proc.resolve(name) + " is empty");
    }
    return lines.getFirst().strip();
  }

  private static String[] words(String line, int expected) throws IOException {
    String[] words = line.strip().split("\\s+");
    if (words.length < expected) {
      throw new IOException(
          "'%s' has %d words, expected %d".formatted(line, words.length, expected));
    }
    return words;
  }

  private static long number(String file, String text) throws IOException {
    try {
      return Long.parseLong(text);
    } catch (NumberFormatException e) {
      throw new IOException(file + " says '" + text + "', expected a number", e);
    }
  }
}
