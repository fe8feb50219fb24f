package dev.cofferdam.deploy.supervise;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.InstantSource;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Real processes of the system. */
@Timeout(30)
final class SupervisedTest {
  private static final Backoff QUICK =
      new Backoff(Duration.ofMillis(1), Duration.ofMillis(4), Duration.ofHours(1));

  @TempDir private Path directory = Path.of("unset");

  private final BlockingQueue<ProcessState> states = new LinkedBlockingQueue<>();

  @Test
  void startsAgainWhatEnds() throws Exception {
    try (Supervised process = start("echo run; exit 3")) {
      assertThat(process.name()).isEqualTo("it");
      assertThat(next()).isInstanceOf(ProcessState.Running.class);
      assertThat(next()).isEqualTo(new ProcessState.Waiting("exit code 3", Duration.ofMillis(1)));
      assertThat(next()).isInstanceOf(ProcessState.Running.class);
      assertThat(next()).isEqualTo(new ProcessState.Waiting("exit code 3", Duration.ofMillis(2)));
    }
    assertThat(Files.readString(directory.resolve("log"))).startsWith("run\nrun\n");
  }

  @Test
  void startsAgainWhatIsKilled() throws Exception {
    try (Supervised process = start("exec tail -f /dev/null")) {
      assertThat(process.name()).isEqualTo("it");
      ProcessHandle first = running();
      assertThat(Files.readString(directory.resolve("pid"))).isEqualTo(first.pid() + "\n");
      assertThat(first.destroyForcibly()).isTrue();
      assertThat(next())
          .isEqualTo(new ProcessState.Waiting("killed by signal 9", Duration.ofMillis(1)));
      assertThat(running().pid()).isNotEqualTo(first.pid());
    }
  }

  @Test
  void closingEndsTheProcessForGood() throws Exception {
    Supervised process = start("exec tail -f /dev/null");
    ProcessHandle running = running();
    process.close();
    assertThat(running.isAlive()).isFalse();
    assertThat(next()).isEqualTo(new ProcessState.Stopped());
    assertThat(Files.exists(directory.resolve("pid"))).isFalse();
  }

  @Test
  void closingKillsWhatDoesNotWantToEnd() throws Exception {
    // Ignored signals stay ignored over exec: no child is left behind that could outlive the shell.
    Supervised process = start("trap '' TERM; echo ready; exec tail -f /dev/null");
    ProcessHandle running = running();
    awaitLog();
    process.close();
    assertThat(running.isAlive()).isFalse();
  }

  @Test
  void aCommandThatIsNotThereIsTriedAgain() throws Exception {
    try (Supervised process =
        Supervised.start(
            spec(List.of("/nonexistent/program")), QUICK, InstantSource.system(), states::add)) {
      assertThat(process.name()).isEqualTo("it");
      for (int attempt = 0; attempt < 2; attempt++) {
        assertThat(next()).isInstanceOf(ProcessState.Running.class);
        assertThat(next())
            .isInstanceOfSatisfying(
                ProcessState.Waiting.class,
                waiting -> assertThat(waiting.cause()).startsWith("cannot be started"));
      }
    }
  }

  @Test
  void inheritsNothingOfTheEnvironment() throws Exception {
    try (Supervised process = start("echo \"[${HOME-}][$ONLY]\"; exec tail -f /dev/null")) {
      assertThat(process.name()).isEqualTo("it");
      var _ = running();
      awaitLog();
    }
    assertThat(Files.readString(directory.resolve("log"))).isEqualTo("[][this]\n");
  }

  private void awaitLog() throws IOException {
    while (!Files.readString(directory.resolve("log")).contains("\n")) {
      LockSupport.parkNanos(1_000_000);
    }
  }

  private Supervised start(String script) {
    return Supervised.start(
        spec(List.of("/bin/sh", "-c", script)), QUICK, InstantSource.system(), states::add);
  }

  private ProcessSpec spec(List<String> command) {
    return new ProcessSpec(
        "it",
        command,
        Map.of("PATH", "/usr/bin:/bin", "ONLY", "this"),
        directory,
        directory.resolve("log"),
        directory.resolve("pid"),
        "TERM",
        Duration.ofMillis(200));
  }

  private ProcessHandle running() throws InterruptedException {
    if (next() instanceof ProcessState.Running running) {
      return ProcessHandle.of(running.pid()).orElseThrow();
    }
    throw new AssertionError("not running");
  }

  private ProcessState next() throws InterruptedException {
    ProcessState state = states.poll(20, TimeUnit.SECONDS);
    if (state == null) {
      throw new AssertionError("no change of state");
    }
    return state;
  }
}
