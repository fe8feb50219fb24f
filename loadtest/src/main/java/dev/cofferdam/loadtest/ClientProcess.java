package dev.cofferdam.loadtest;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.EOFException;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** A {@link LoadClient} in its own process, behind a command that puts it into a namespace. */
final class ClientProcess implements AutoCloseable {
  private static final ObjectMapper JSON = new ObjectMapper();

  private final Process process;
  private final PrintWriter commands;
  private final BufferedReader answers;

  private ClientProcess(Process process) {
    this.process = process;
    this.commands = new PrintWriter(process.outputWriter(StandardCharsets.UTF_8), true);
    this.answers = process.inputReader(StandardCharsets.UTF_8);
  }

  static ClientProcess start(List<String> prefix, List<String> options) throws IOException {
    List<String> words = new ArrayList<>(prefix);
    words.addAll(
        List.of(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-Xmx256m",
            "-XX:+UseSerialGC",
            "-cp",
            System.getProperty("java.class.path"),
            Main.class.getName(),
            "client"));
    words.addAll(options);
    return new ClientProcess(
        new ProcessBuilder(words).redirectError(ProcessBuilder.Redirect.INHERIT).start());
  }

  /** Once its connections are open and each has made a request; asked first of all, and of each. */
  LoadClient.Round opened() throws IOException {
    return answer();
  }

  long pid() {
    return process.pid();
  }

  LoadClient.Round once() throws IOException {
    return ask("once");
  }

  LoadClient.Round at(int requestsPerSecond, long millis) throws IOException {
    return ask("rate " + requestsPerSecond + " " + millis);
  }

  LoadClient.Round full(long millis) throws IOException {
    return ask("full " + millis);
  }

  private LoadClient.Round ask(String command) throws IOException {
    commands.println(command);
    return answer();
  }

  private LoadClient.Round answer() throws IOException {
    String answer = answers.readLine();
    if (answer == null) {
      throw new EOFException("the load client ended; what it said is above");
    }
    return JSON.readValue(answer, LoadClient.Round.class);
  }

  @Override
  public void close() {
    commands.close();
    process.destroy();
  }
}
