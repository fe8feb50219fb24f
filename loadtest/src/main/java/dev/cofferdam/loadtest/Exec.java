package dev.cofferdam.loadtest;

import dev.cofferdam.v1.ProcessEvent;
import dev.cofferdam.v1.ProcessServiceGrpc;
import dev.cofferdam.v1.ProcessSpec;
import dev.cofferdam.v1.StartProcessRequest;
import io.grpc.Channel;
import io.grpc.Status;
import io.grpc.stub.StreamObserver;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/**
 * One command that was run to its end.
 *
 * @param firstOutputNanos from the call to the first byte of its standard output
 * @param totalNanos from the call to its exit
 */
record Exec(String output, int exitCode, long firstOutputNanos, long totalNanos) {
  static Exec run(Channel channel, String sandbox, List<String> argv, long seconds) {
    long begin = System.nanoTime();
    Collector collector = new Collector(begin);
    StreamObserver<StartProcessRequest> requests =
        ProcessServiceGrpc.newStub(channel)
            .withDeadlineAfter(seconds, TimeUnit.SECONDS)
            .startProcess(collector);
    requests.onNext(
        StartProcessRequest.newBuilder()
            .setSandbox(sandbox)
            .setSpec(ProcessSpec.newBuilder().addAllArgv(argv))
            .build());
    requests.onCompleted();
    Exec done = collector.done.join();
    if (done.exitCode != 0) {
      throw new IllegalStateException(
          "%s ended with %d: %s".formatted(argv, done.exitCode, done.output));
    }
    return done;
  }

  /** gRPC calls it from one thread at a time. */
  private static final class Collector implements StreamObserver<ProcessEvent> {
    private final CompletableFuture<Exec> done = new CompletableFuture<>();
    private final ByteArrayOutputStream output = new ByteArrayOutputStream();
    private final long begin;
    private long firstOutput = -1;
    private int exitCode = -1;

    Collector(long begin) {
      this.begin = begin;
    }

    @Override
    public void onNext(ProcessEvent event) {
      switch (event.getEventCase()) {
        case STDOUT -> {
          if (firstOutput < 0) {
            firstOutput = System.nanoTime() - begin;
          }
          output.writeBytes(event.getStdout().getData().toByteArray());
        }
        case STDERR -> output.writeBytes(event.getStderr().getData().toByteArray());
        case EXITED ->
            exitCode =
                event.getExited().getSignal() == 0
                    ? event.getExited().getExitCode()
                    : 128 + event.getExited().getSignal();
        case STARTED, EVENT_NOT_SET -> {}
      }
    }

    @Override
    public void onError(Throwable failure) {
      done.completeExceptionally(Status.fromThrowable(failure).asRuntimeException());
    }

    @Override
    public void onCompleted() {
      done.complete(
          new Exec(
              output.toString(StandardCharsets.UTF_8),
              exitCode,
              firstOutput,
              System.nanoTime() - begin));
    }
  }
}
