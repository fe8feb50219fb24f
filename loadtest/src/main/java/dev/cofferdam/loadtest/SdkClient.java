package dev.cofferdam.loadtest;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.EOFException;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;

/** {@code sdk_client.py}: the published SDK and the public API, from one program in Python. */
final class SdkClient implements AutoCloseable {
  private static final ObjectMapper JSON = new ObjectMapper();

  /** How it gets to a sandbox. */
  enum Way {
    /** Through the edge. */
    SDK,
    /** By the public API. */
    GRPC;

    String key() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  private final Process process;
  private final PrintWriter commands;
  private final BufferedReader answers;

  private SdkClient(Process process) {
    this.process = process;
    this.commands = new PrintWriter(process.outputWriter(StandardCharsets.UTF_8), true);
    this.answers = process.inputReader(StandardCharsets.UTF_8);
  }

  static SdkClient start(Map<String, String> environment) throws IOException {
    Path python = Path.of(Api.required(environment, "COFFERDAM_CACHE"), "tools/bin/python3");
    Path program = Path.of(Api.required(environment, "COFFERDAM_ROOT"), "loadtest/sdk_client.py");
    return new SdkClient(
        new ProcessBuilder(python.toString(), program.toString())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start());
  }

  /** Nanoseconds, as many as the task has to tell. */
  long[] ask(Way way, String task, long... arguments) throws IOException {
    StringBuilder line = new StringBuilder(way.key()).append(' ').append(task);
    for (long argument : arguments) {
      line.append(' ').append(argument);
    }
    commands.println(line);
    String answer = answers.readLine();
    if (answer == null) {
      throw new EOFException(line + ": the SDK's client ended; what it said is above");
    }
    return times(answer);
  }

  static long[] times(String answer) throws IOException {
    return JSON.readValue(answer, long[].class);
  }

  /** Its sandbox ends with it. */
  @Override
  public void close() throws IOException {
    commands.close();
    try {
      var _ = process.waitFor();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      process.destroy();
    }
  }
}
