package dev.cofferdam.deploy.supervise;

import dev.cofferdam.deploy.account.Commands;
import java.io.IOException;
import java.nio.file.Files;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.stream.Stream;

/**
 * Keeps one process alive until closed: whenever it ends it is started again, after a wait that
 * grows while it keeps ending. Every change of state is told to the listener, in order.
 */
public final class Supervised implements AutoCloseable {
  private final ProcessSpec spec;
  private final Backoff backoff;
  private final InstantSource clock;
  private final Consumer<ProcessState> listener;
  private final CountDownLatch stop = new CountDownLatch(1);
  private final Thread keeper;

  private Supervised(
      ProcessSpec spec, Backoff backoff, InstantSource clock, Consumer<ProcessState> listener) {
    this.spec = spec;
    this.backoff = backoff;
    this.clock = clock;
    this.listener = listener;
    this.keeper = Thread.ofVirtual().name("keeper-" + spec.name()).unstarted(this::keep);
  }

  public static Supervised start(
      ProcessSpec spec, Backoff backoff, InstantSource clock, Consumer<ProcessState> listener) {
    Supervised supervised = new Supervised(spec, backoff, clock, listener);
    supervised.keeper.start();
    return supervised;
  }

  public String name() {
    return spec.name();
  }

  private void keep() {
    Duration wait = Duration.ZERO;
    try {
      while (stop.getCount() > 0) {
        Instant begin = clock.instant();
        String cause = runOnce();
        if (stop.getCount() == 0) {
          break;
        }
        wait = backoff.after(wait, Duration.between(begin, clock.instant()));
        listener.accept(new ProcessState.Waiting(cause, wait));
        if (stop.await(wait.toMillis(), TimeUnit.MILLISECONDS)) {
          break;
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    listener.accept(new ProcessState.Stopped());
  }

  /** Returns when the process has ended. */
  private String runOnce() throws InterruptedException {
    Process process;
    try {
      ProcessBuilder builder =
          // A session of its own: a Ctrl-C at the launcher's terminal is for the launcher, which
          // stops its processes in their order.
          new ProcessBuilder(Stream.concat(Stream.of("setsid"), spec.command().stream()).toList())
              .directory(spec.directory().toFile())
              .redirectErrorStream(true)
              .redirectOutput(ProcessBuilder.Redirect.appendTo(spec.log().toFile()));
      builder.environment().clear();
      builder.environment().putAll(spec.environment());
      process = builder.start();
    } catch (IOException e) {
      return "cannot be started: " + e.getMessage();
    }
    try {
      process.getOutputStream().close();
      Files.writeString(spec.pidFile(), process.pid() + "\n");
      listener.accept(new ProcessState.Running(process.pid(), clock.instant()));
      Thread stopper = Thread.ofVirtual().start(() -> stopWhenAsked(process));
      int status = process.waitFor();
      stopper.interrupt();
      stopper.join();
      if (status == 126 || status == 127) {
        return "cannot be started, its log says why: exit code " + status;
      }
      return status > 128 ? "killed by signal " + (status - 128) : "exit code " + status;
    } catch (IOException e) {
      process.destroyForcibly().waitFor();
      return "cannot be supervised: " + e.getMessage();
    } finally {
      forgetPid();
    }
  }

  private void stopWhenAsked(Process process) {
    try {
      stop.await();
      Commands.succeeds(List.of("kill", "-s", spec.stopSignal(), Long.toString(process.pid())));
      if (!process.waitFor(spec.grace().toMillis(), TimeUnit.MILLISECONDS)) {
        process.destroyForcibly();
      }
    } catch (InterruptedException e) {
      // It ended by itself: nothing is left to stop.
    } catch (IOException e) {
      process.destroyForcibly();
    }
  }

  private void forgetPid() {
    try {
      Files.deleteIfExists(spec.pidFile());
    } catch (IOException e) {
      // A stale pid file is checked against the process's command before anyone acts on it.
    }
  }

  /** Ends the process and returns when it has ended. */
  @Override
  public void close() {
    stop.countDown();
    try {
      keeper.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
