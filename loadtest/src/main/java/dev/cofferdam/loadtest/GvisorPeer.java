package dev.cofferdam.loadtest;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * {@code runsc do echo ready}, gVisor's shortest way to a sandboxed command: no API, no network, no
 * policy, no record, the host's own files. From Debian's package {@code runsc}.
 */
final class GvisorPeer {
  private static final List<String> COMMAND = List.of("--network=none", "do", "echo", "ready");

  private final Path program;

  private GvisorPeer(Path program) {
    this.program = program;
  }

  /** Empty where it is not installed. */
  static Optional<GvisorPeer> find() {
    return Stream.of("/usr/bin/runsc", "/usr/local/bin/runsc")
        .map(Path::of)
        .filter(Files::isExecutable)
        .findFirst()
        .map(GvisorPeer::new);
  }

  /** From the process's start to the first byte of output, in nanoseconds. */
  long run() throws IOException, InterruptedException {
    long begin = System.nanoTime();
    Process process =
        new ProcessBuilder(Stream.concat(Stream.of(program.toString()), COMMAND.stream()).toList())
            .redirectErrorStream(true)
            .start();
    int first = process.getInputStream().read();
    long firstOutput = System.nanoTime() - begin;
    String rest = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (process.waitFor() != 0 || first != 'r' || !rest.startsWith("eady")) {
      throw new IllegalStateException(
          "%s %s ended with %d: %s".formatted(program, COMMAND, process.exitValue(), rest));
    }
    return firstOutput;
  }
}
