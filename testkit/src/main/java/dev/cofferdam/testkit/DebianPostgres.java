package dev.cofferdam.testkit;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/**
 * A server from {@code /usr/lib/postgresql/<version>/bin}. PostgreSQL refuses to run as root, so
 * root lends it the uid of {@code nobody}.
 */
final class DebianPostgres implements AutoCloseable {
  private static final Path INSTALLED = Path.of("/usr/lib/postgresql");
  private static final String READY = "database system is ready to accept connections";

  /** Ports are chosen before the server binds them; another process may be faster. */
  private static final int ATTEMPTS = 5;

  private final Path directory;
  private final Process process;
  private final Thread remover;
  private final int port;
  private final String password;

  private DebianPostgres(Path directory, Process process, int port, String password) {
    this.directory = directory;
    this.process = process;
    this.port = port;
    this.password = password;
    // A test run that is interrupted closes nothing.
    this.remover = new Thread(this::stop, "postgres-stop");
    Runtime.getRuntime().addShutdownHook(remover);
  }

  /** The directory of the newest installed server's programs. */
  static Optional<Path> installed() {
    if (!Files.isDirectory(INSTALLED)) {
      return Optional.empty();
    }
    try (Stream<Path> versions = Files.list(INSTALLED)) {
      return versions
          .map(version -> version.resolve("bin"))
          .filter(bin -> Files.isExecutable(bin.resolve("initdb")))
          .filter(bin -> Files.isExecutable(bin.resolve("postgres")))
          .max(Comparator.comparingInt(DebianPostgres::version));
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  private static int version(Path bin) {
    String name = bin.getName(bin.getNameCount() - 2).toString();
    return name.chars().allMatch(Character::isDigit) ? Integer.parseInt(name) : 0;
  }

  static DebianPostgres start(Path bin) throws IOException {
    Path directory = Files.createTempDirectory("cofferdam-postgres-");
    String password = UUID.randomUUID().toString();
    try {
      Path passwordFile = directory.resolve("password");
      Files.writeString(passwordFile, password + "\n");
      if (isRoot()) {
        run(List.of("chown", "-R", "nobody:nogroup", directory.toString()));
      }
      run(
          asOther(
              bin.resolve("initdb").toString(),
              "--pgdata=" + directory.resolve("data"),
              "--username=postgres",
              "--pwfile=" + passwordFile,
              "--auth=scram-sha-256",
              "--encoding=UTF8",
              "--locale=C",
              "--no-sync"));
      for (int attempt = 1; ; attempt++) {
        int port = FreePorts.next();
        List<String> log = new ArrayList<>();
        Process process = launch(bin, directory, port);
        if (becomesReady(process, log)) {
          return new DebianPostgres(directory, process, port, password);
        }
        if (attempt == ATTEMPTS) {
          throw new IOException("postgres ended before it was ready:\n" + String.join("\n", log));
        }
      }
    } catch (IOException | RuntimeException e) {
      delete(directory);
      throw e;
    }
  }

  int port() {
    return port;
  }

  String password() {
    return password;
  }

  private static Process launch(Path bin, Path directory, int port) throws IOException {
    return new ProcessBuilder(
            asOther(
                bin.resolve("postgres").toString(),
                "-D",
                directory.resolve("data").toString(),
                "-p",
                Integer.toString(port),
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                "unix_socket_directories=",
                "-c",
                "fsync=off",
                "-c",
                "synchronous_commit=off",
                "-c",
                "full_page_writes=off",
                "-c",
                "max_connections=100",
                "-c",
                "shared_buffers=16MB"))
        .directory(directory.toFile())
        .redirectErrorStream(true)
        .start();
  }

  /** Reads the log until the server says that it accepts, then goes on reading for its sake. */
  @SuppressWarnings("resource") // the reader lives as long as the process
  private static boolean becomesReady(Process process, List<String> log) throws IOException {
    BufferedReader output = process.inputReader();
    for (String line = output.readLine(); line != null; line = output.readLine()) {
      log.add(line);
      if (line.contains(READY)) {
        // A read of a pipe holds a virtual thread to its carrier, of which there may be two.
        Thread.ofPlatform().daemon().name("postgres-log").start(() -> drain(output));
        return true;
      }
    }
    return false;
  }

  private static void drain(BufferedReader output) {
    try {
      while (output.readLine() != null) {
        // Nobody reads it, but a full pipe would stop the server.
      }
    } catch (IOException e) {
      // The server has ended.
    }
  }

  @Override
  public void close() {
    Runtime.getRuntime().removeShutdownHook(remover);
    stop();
  }

  /** SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for every client. */
  private void stop() {
    try {
      run(List.of("kill", "-INT", Long.toString(process.pid())));
      if (!process.waitFor(20, TimeUnit.SECONDS)) {
        process.destroyForcibly().waitFor();
      }
    } catch (IOException e) {
      process.destroyForcibly();
    } catch (InterruptedException e) {
      process.destroyForcibly();
      Thread.currentThread().interrupt();
    }
    delete(directory);
  }

  private static List<String> asOther(String... command) {
    List<String> words = new ArrayList<>();
    if (isRoot()) {
      words.addAll(List.of("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"));
    }
    words.addAll(List.of(command));
    return words;
  }

  private static boolean isRoot() {
    return "root".equals(System.getProperty("user.name"));
  }

  private static void run(List<String> command) throws IOException {
    Process process =
        new ProcessBuilder(command)
            .directory(Path.of("/").toFile())
            .redirectErrorStream(true)
            .start();
    String output =
        new String(
            process.getInputStream().readAllBytes(), java.nio.charset.StandardCharsets.UTF_8);
    try {
      if (process.waitFor() != 0) {
        throw new IOException(command + " ended with " + process.exitValue() + ": " + output);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while waiting for " + command, e);
    }
  }

  private static void delete(Path directory) {
    try (Stream<Path> files = Files.walk(directory)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(file);
      }
    } catch (IOException e) {
      System.err.println("left behind: " + directory + ": " + e);
    }
  }
}
