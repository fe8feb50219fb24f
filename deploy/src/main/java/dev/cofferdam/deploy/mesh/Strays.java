package dev.cofferdam.deploy.mesh;

import dev.cofferdam.deploy.account.Commands;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Stream;

/** Processes of a mesh whose launcher is gone, known by their pid files. */
public final class Strays {
  private Strays() {}

  /** Whether any process of the mesh lives but its launcher. */
  public static boolean any(MeshLayout layout) throws IOException {
    for (Path file : files(layout)) {
      if (process(file, mark(layout)).isPresent()) {
        return true;
      }
    }
    return false;
  }

  /** Ends them all. VMs are no process of the launcher and stay. */
  public static void stop(MeshLayout layout) throws IOException {
    for (Path file : files(layout)) {
      Optional<ProcessHandle> process = process(file, mark(layout));
      if (process.isPresent()) {
        // PostgreSQL waits for its clients on TERM.
        String signal = file.equals(layout.pidFile("postgres")) ? "INT" : "TERM";
        end(process.get(), signal, Duration.ofSeconds(20));
      }
      Files.deleteIfExists(file);
    }
  }

  private static List<Path> files(MeshLayout layout) throws IOException {
    if (!Files.isDirectory(layout.run())) {
      return List.of();
    }
    try (Stream<Path> found = Files.list(layout.run())) {
      return found
          .filter(file -> file.getFileName().toString().endsWith(".pid"))
          .filter(file -> !file.equals(layout.pidFile("launcher")))
          .toList();
    }
  }

  private static String mark(MeshLayout layout) {
    return layout.state() + "/";
  }

  /**
   * The process of a pid file, if it lives and its command line contains {@code mark}: a pid may
   * have passed on to a process of somebody else.
   */
  public static Optional<ProcessHandle> process(Path pidFile, String mark) throws IOException {
    if (!Files.exists(pidFile)) {
      return Optional.empty();
    }
    String text = Files.readString(pidFile).strip();
    if (!text.matches("\\d{1,9}")) {
      return Optional.empty();
    }
    Path commandLine = Path.of("/proc", text, "cmdline");
    try {
      return Files.readString(commandLine, StandardCharsets.ISO_8859_1).contains(mark)
          ? ProcessHandle.of(Long.parseLong(text))
          : Optional.empty();
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  /** Asks a process to end, and kills it when it has not within {@code grace}. */
  public static void end(ProcessHandle process, String signal, Duration grace) throws IOException {
    Commands.succeeds(List.of("kill", "-s", signal, Long.toString(process.pid())));
    try {
      process.onExit().get(grace.toMillis(), TimeUnit.MILLISECONDS);
    } catch (TimeoutException e) {
      process.destroyForcibly();
    } catch (ExecutionException e) {
      throw new IOException("cannot wait for process " + process.pid(), e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while waiting for process " + process.pid(), e);
    }
  }
}
