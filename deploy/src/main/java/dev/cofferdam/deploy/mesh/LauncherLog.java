package dev.cofferdam.deploy.mesh;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.InstantSource;
import java.util.LinkedHashMap;
import java.util.Map;

/** Tells a person what happens, and keeps it as JSON lines. Safe for use by several threads. */
public final class LauncherLog {
  private final Path file;
  private final PrintStream person;
  private final InstantSource clock;

  public LauncherLog(Path file, PrintStream person, InstantSource clock) {
    this.file = file;
    this.person = person;
    this.clock = clock;
  }

  /** For people alone. */
  public void say(String line) {
    person.println(line);
    person.flush();
  }

  /** For the record alone. */
  public synchronized void record(String event, Map<String, Object> facts) {
    Map<String, Object> line = new LinkedHashMap<>();
    line.put("time", clock.instant().toString());
    line.put("event", event);
    line.putAll(facts);
    try {
      Files.writeString(
          file, Json.object(line) + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    } catch (IOException e) {
      person.println("cannot write " + file + ": " + e.getMessage());
    }
  }
}
