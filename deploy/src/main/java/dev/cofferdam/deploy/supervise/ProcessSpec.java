package dev.cofferdam.deploy.supervise;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;

/**
 * One process to keep alive.
 *
 * @param name as in logs and of its files
 * @param command without a shell; replaces itself, so that its pid stays the process's
 * @param environment all of it, nothing is inherited
 * @param directory it starts in
 * @param log where both its streams are appended
 * @param pidFile holds its pid while it runs
 * @param stopSignal asks it to end: {@code TERM} or {@code INT}
 * @param grace how long it may take to end before it is killed
 */
public record ProcessSpec(
    String name,
    List<String> command,
    Map<String, String> environment,
    Path directory,
    Path log,
    Path pidFile,
    String stopSignal,
    Duration grace) {
  public ProcessSpec {
    command = List.copyOf(command);
    environment = Map.copyOf(environment);
    if (command.isEmpty()) {
      throw new IllegalArgumentException(name + " has no command");
    }
    if (!stopSignal.matches("TERM|INT|QUIT")) {
      throw new IllegalArgumentException(
          "stop signal '%s', expected TERM, INT or QUIT".formatted(stopSignal));
    }
  }
}
