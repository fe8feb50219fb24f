package dev.cofferdam.edge.process;

import com.google.protobuf.ByteString;
import dev.cofferdam.edge.session.OutputStreams.Output;
import dev.cofferdam.edge.session.SessionClosedException;
import dev.cofferdam.kit.client.TwoWayCall;
import dev.cofferdam.v1.ProcessEvent;
import dev.cofferdam.v1.ProcessExited;
import dev.cofferdam.v1.ProcessSpec;
import dev.cofferdam.v1.ProcessStarted;
import dev.cofferdam.v1.StartProcessRequest;
import io.grpc.Context;
import io.grpc.Status;
import io.grpc.StatusException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * A process that this session started, with its streams.
 *
 * <p>Nothing of its output goes out before its end is waited for, which both SDKs do as soon as
 * they have made their ends of the streams: the Python SDK throws away what comes earlier.
 */
final class Running {
  private final TwoWayCall<StartProcessRequest, ProcessEvent> call;
  private final Stdin stdin;
  private final Optional<Output> stdout;
  private final Optional<Output> stderr;
  private final CountDownLatch wanted = new CountDownLatch(1);
  private final CompletableFuture<ProcessExited> exit = new CompletableFuture<>();
  private final ProcessStarted started;

  private Running(
      TwoWayCall<StartProcessRequest, ProcessEvent> call,
      ProcessStarted started,
      Optional<Output> stdout,
      Optional<Output> stderr) {
    this.call = call;
    this.stdin = new Stdin(call);
    this.started = started;
    this.stdout = stdout;
    this.stderr = stderr;
    if (stdout.isEmpty() && stderr.isEmpty()) {
      wanted.countDown();
    }
  }

  /**
   * Returns once it runs.
   *
   * @param input whether it gets any
   */
  static Running start(
      TwoWayCall<StartProcessRequest, ProcessEvent> call,
      String sandbox,
      ProcessSpec spec,
      boolean input,
      Optional<Output> stdout,
      Optional<Output> stderr)
      throws StatusException, InterruptedException {
    List<StartProcessRequest> requests = new ArrayList<>();
    requests.add(StartProcessRequest.newBuilder().setSandbox(sandbox).setSpec(spec).build());
    if (!input) {
      // One message less for the guest to wake for while the process runs.
      requests.add(Stdin.END);
    }
    var _ = call.writeTogether(requests);
    ProcessStarted started =
        call.read()
            .filter(ProcessEvent::hasStarted)
            .orElseThrow(
                () -> Status.UNAVAILABLE.withDescription("the process did not start").asException())
            .getStarted();
    return new Running(call, started, stdout, stderr);
  }

  long pid() {
    return started.getPid();
  }

  String process() {
    return started.getProcess();
  }

  /** Copies its output until it has exited; for a thread of its own. */
  void follow() {
    // A session can end before anybody wanted its output.
    Context session = Context.current();
    Context.CancellationListener over = _ -> wanted.countDown();
    session.addListener(over, Runnable::run);
    try {
      wanted.await();
      for (Optional<ProcessEvent> next = call.read(); next.isPresent(); next = call.read()) {
        ProcessEvent event = next.get();
        switch (event.getEventCase()) {
          case STDOUT -> write(stdout, event.getStdout().getData());
          case STDERR -> write(stderr, event.getStderr().getData());
          case EXITED -> {
            finish(event.getExited());
            return;
          }
          case STARTED, EVENT_NOT_SET -> {
            // Nothing that could be shown.
          }
        }
      }
      broken(
          Status.UNAVAILABLE.withDescription("the stream ended before the process").asException());
    } catch (StatusException e) {
      broken(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      exit.completeExceptionally(e);
    } catch (SessionClosedException e) {
      exit.completeExceptionally(e);
    } finally {
      session.removeListener(over);
      call.cancel("done");
    }
  }

  private static void write(Optional<Output> to, ByteString data) throws InterruptedException {
    if (to.isPresent()) {
      to.get().write(data);
    }
  }

  private void finish(ProcessExited exited) throws InterruptedException {
    if (stdout.isPresent()) {
      stdout.get().end();
    }
    if (stderr.isPresent()) {
      stderr.get().end();
    }
    exit.complete(exited);
  }

  private void broken(StatusException why) {
    try {
      String message = "the process's streams broke: " + why.getStatus().getDescription();
      if (stdout.isPresent()) {
        stdout.get().fail(message);
      }
      if (stderr.isPresent()) {
        stderr.get().fail(message);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (SessionClosedException e) {
      // Nobody is left to be told.
    } finally {
      exit.completeExceptionally(why);
    }
  }

  Stdin stdin() {
    return stdin;
  }

  /** From here on its output goes out. */
  CompletableFuture<ProcessExited> wanted() {
    wanted.countDown();
    return exit;
  }

  /** Completes with its end, where that is waited for. */
  CompletableFuture<ProcessExited> over() {
    return exit;
  }

  /** Whether it ends within that time. */
  boolean ended(long millis) throws InterruptedException {
    try {
      var _ = exit.get(millis, TimeUnit.MILLISECONDS);
      return true;
    } catch (TimeoutException e) {
      return false;
    } catch (ExecutionException e) {
      return true;
    }
  }

  boolean exited() {
    return exit.isDone();
  }
}
