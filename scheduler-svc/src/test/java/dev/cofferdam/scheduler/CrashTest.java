package dev.cofferdam.scheduler;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.testkit.TestPostgres;
import dev.cofferdam.v1.CreateSandboxRequest;
import dev.cofferdam.v1.DeleteSandboxRequest;
import dev.cofferdam.v1.Sandbox;
import dev.cofferdam.v1.SandboxEvent;
import dev.cofferdam.v1.SandboxEventType;
import dev.cofferdam.v1.SandboxServiceGrpc.SandboxServiceBlockingStub;
import dev.cofferdam.v1.SandboxState;
import dev.cofferdam.v1.WatchSandboxEventsRequest;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The scheduler as a process of its own, killed with SIGKILL while it waits for an answer. The next
 * one on the same database finishes or undoes what was begun.
 */
class CrashTest {
  private static TestPostgres postgres;

  @TempDir private Path directory;

  @BeforeAll
  static void startDatabase() {
    postgres = TestPostgres.start();
  }

  @AfterAll
  static void stopDatabase() {
    postgres.close();
  }

  @ParameterizedTest(name = "killed while {0} was under way, answered: {1}")
  @CsvSource({
    "CreateGrants, false",
    "CreateGrants, true",
    "StartSandbox, false",
    "StartSandbox, true",
    "RevokeGrants, false",
    "RemoveSandbox, true"
  })
  void nothingHalfMadeIsLeft(String method, boolean answered) throws Exception {
    try (Mesh mesh = new Mesh(directory, postgres)) {
      CountDownLatch reached = new CountDownLatch(1);
      CountDownLatch killed = new CountDownLatch(1);
      AtomicBoolean armed = new AtomicBoolean(true);
      FakeBroker.Hook atTheStep =
          called -> {
            if (called.equals(method) && armed.getAndSet(false)) {
              reached.countDown();
              await(killed);
              if (!answered) {
                throw new IllegalStateException("never got to do it");
              }
            }
          };
      boolean ending = method.equals("RevokeGrants") || method.equals("RemoveSandbox");
      CreateSandboxRequest request = CreateSandboxRequest.newBuilder().setRequestId("r1").build();
      String token;
      String sandbox = "";
      Process process = launch(mesh);
      try {
        int port = port(process);
        token = mesh.token(port, "acme", Mesh.ALL_SCOPES);
        var _ = mesh.connect(port, mesh.registration().build());
        SandboxServiceBlockingStub tenant = mesh.sandboxes(port, token);
        if (ending) {
          sandbox = tenant.createSandbox(request).getId();
        }
        mesh.broker.hook = atTheStep;
        mesh.node.hook = atTheStep;
        String target = sandbox;
        CompletableFuture<Void> call =
            CompletableFuture.runAsync(
                () -> {
                  if (ending) {
                    var _ =
                        tenant.deleteSandbox(
                            DeleteSandboxRequest.newBuilder().setSandbox(target).build());
                  } else {
                    var _ = tenant.createSandbox(request);
                  }
                },
                Thread::startVirtualThread);
        await(reached);
        process.destroyForcibly().waitFor();
        killed.countDown();
        assertThat(call).failsWithin(Mesh.PATIENCE_S, TimeUnit.SECONDS);
      } finally {
        process.destroyForcibly().waitFor();
        killed.countDown();
      }

      mesh.start();
      var _ = mesh.connect();
      SandboxServiceBlockingStub tenant = mesh.sandboxes(token);
      SandboxEvent last =
          awaitLast(
              tenant,
              ending
                  ? SandboxEventType.SANDBOX_EVENT_TYPE_ENDED
                  : SandboxEventType.SANDBOX_EVENT_TYPE_START_FAILED);
      assertThat(mesh.broker.granted).isEmpty();
      assertThat(mesh.broker.revoked).contains(last.getSandbox());
      assertThat(mesh.node.running).isEmpty();
      Sandbox again = tenant.createSandbox(request);
      if (ending) {
        assertThat(again.getId()).isEqualTo(sandbox);
        assertThat(again.getState()).isEqualTo(SandboxState.SANDBOX_STATE_ENDED);
      } else {
        assertThat(again.getId()).isNotEqualTo(last.getSandbox());
        assertThat(again.getState()).isEqualTo(SandboxState.SANDBOX_STATE_RUNNING);
      }
    }
  }

  private static SandboxEvent awaitLast(SandboxServiceBlockingStub tenant, SandboxEventType type) {
    Iterator<SandboxEvent> events =
        tenant.watchSandboxEvents(WatchSandboxEventsRequest.newBuilder().setFollow(true).build());
    SandboxEvent event = events.next();
    while (event.getType() != type) {
      event = events.next();
    }
    return event;
  }

  private Process launch(Mesh mesh) throws IOException {
    Properties properties = new Properties();
    properties.putAll(mesh.settings());
    Path file = directory.resolve("service.properties");
    try (var writer = Files.newBufferedWriter(file)) {
      properties.store(writer, null);
    }
    return new ProcessBuilder(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx256m",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                Main.class.getName(),
                "--config",
                file.toString()))
        .redirectErrorStream(true)
        .start();
  }

  /** Of the gRPC listener, from the process's own log. */
  private static int port(Process process) throws IOException {
    var log = process.inputReader();
    StringBuilder seen = new StringBuilder();
    for (String line = log.readLine(); line != null; line = log.readLine()) {
      seen.append(line).append('\n');
      var port = java.util.regex.Pattern.compile("\"port\":\"?(\\d+)").matcher(line);
      if (line.contains("listener_started") && port.find()) {
        Thread.startVirtualThread(() -> {
          try {
            while (log.readLine() != null) {
              // Nobody reads it, but a full pipe would stop the process.
            }
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        });
        return Integer.parseInt(port.group(1));
      }
    }
    throw new AssertionError("the scheduler did not start:\n" + seen);
  }

  private static void await(CountDownLatch latch) {
    try {
      if (!latch.await(Mesh.PATIENCE_S, TimeUnit.SECONDS)) {
        throw new AssertionError("did not happen");
      }
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }
}
