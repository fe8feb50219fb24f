package dev.cofferdam.node.build;

import dev.cofferdam.node.sandbox.Relay;
import dev.cofferdam.v1.CloseStdin;
import dev.cofferdam.v1.ProcessEvent;
import dev.cofferdam.v1.ProcessExited;
import dev.cofferdam.v1.ProcessServiceGrpc;
import dev.cofferdam.v1.ProcessSpec;
import dev.cofferdam.v1.StartProcessRequest;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.stub.ClientCallStreamObserver;
import io.grpc.stub.ClientResponseObserver;
import io.grpc.stub.MetadataUtils;
import java.io.IOException;
import java.io.OutputStream;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * One process in a sandbox, from its start to its end. What it says is the guest's word: it is
 * bounded and passed on, never parsed.
 */
final class GuestCommand {
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  /** While the link is being made again. */
  private static final Duration PATIENCE = Duration.ofSeconds(10);

  private static final Duration GRACE = Duration.ofSeconds(10);

  /** Messages of at most 64 KiB. */
  private static final int AHEAD = 16;

  private final String what;
  private final ProcessSpec spec;

  /**
   * @param what it is, for people: {@code step 2}
   */
  GuestCommand(String what, List<String> argv) {
    this.what = what;
    this.spec =
        ProcessSpec.newBuilder()
            .addAllArgv(argv)
            .setUser("root")
            .setWorkingDirectory("/")
            .putEnv("DEBIAN_FRONTEND", "noninteractive")
            .build();
  }

  /**
   * Reads as fast as the output is taken; the process waits for that.
   *
   * @param out takes its standard output, or what of both is to be told of a failure
   * @return its exit code
   * @throws IOException when it did not end by itself in time, or the output is not taken
   */
  int run(Relay relay, Duration longest, OutputStream out, OutputStream err) throws IOException {
    Metadata headers = new Metadata();
    headers.put(AUTHORIZATION, "Bearer " + relay.token());
    Answers answers = new Answers();
    ClientCallStreamObserver<StartProcessRequest> requests =
        (ClientCallStreamObserver<StartProcessRequest>)
            ProcessServiceGrpc.newStub(relay.guest().connected(PATIENCE))
                .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(headers))
                .withDeadlineAfter(longest.toNanos(), TimeUnit.NANOSECONDS)
                .startProcess(answers);
    try {
      requests.onNext(StartProcessRequest.newBuilder().setSpec(spec).build());
      requests.onNext(
          StartProcessRequest.newBuilder().setCloseStdin(CloseStdin.getDefaultInstance()).build());
      while (true) {
        switch (answers.next(longest.plus(GRACE))) {
          case Answer.Event(ProcessEvent event) -> {
            switch (event.getEventCase()) {
              case STDOUT -> event.getStdout().getData().writeTo(out);
              case STDERR -> event.getStderr().getData().writeTo(err);
              case EXITED -> {
                return code(event.getExited());
              }
              case STARTED, EVENT_NOT_SET -> {}
            }
            requests.request(1);
          }
          case Answer.End(Status status) -> throw ended(status, longest);
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException(what + ": interrupted", e);
    } finally {
      requests.cancel("it is not waited for any more", null);
    }
  }

  private IOException ended(Status status, Duration longest) {
    return switch (status.getCode()) {
      case OK -> new IOException(what + ": its output ended before it did");
      case DEADLINE_EXCEEDED ->
          new IOException(
              "%s did not end within %d min".formatted(what, longest.toMinutes()),
              status.asException());
      default ->
          new IOException(
              "%s: %s, %s".formatted(what, status.getCode(), status.getDescription()),
              status.asException());
    };
  }

  /** What the guest says next. */
  private sealed interface Answer {
    record Event(ProcessEvent event) implements Answer {}

    record End(Status status) implements Answer {}
  }

  /** Holds no more than was asked for: the guest waits until that is taken. */
  private static final class Answers
      implements ClientResponseObserver<StartProcessRequest, ProcessEvent> {
    private final BlockingQueue<Answer> queue = new LinkedBlockingQueue<>();

    @Override
    public void beforeStart(ClientCallStreamObserver<StartProcessRequest> requests) {
      requests.disableAutoRequestWithInitial(AHEAD);
    }

    @Override
    public void onNext(ProcessEvent event) {
      queue.add(new Answer.Event(event));
    }

    @Override
    public void onError(Throwable thrown) {
      queue.add(new Answer.End(Status.fromThrowable(thrown)));
    }

    @Override
    public void onCompleted() {
      queue.add(new Answer.End(Status.OK));
    }

    /** The call's own deadline comes first; this is for a channel that is lost with its answer. */
    Answer next(Duration patience) throws InterruptedException {
      Answer next = queue.poll(patience.toNanos(), TimeUnit.NANOSECONDS);
      return next == null ? new Answer.End(Status.DEADLINE_EXCEEDED) : next;
    }
  }

  /** As a shell tells it. */
  private int code(ProcessExited exited) {
    return exited.getSignal() == 0 ? exited.getExitCode() : 128 + exited.getSignal();
  }
}
