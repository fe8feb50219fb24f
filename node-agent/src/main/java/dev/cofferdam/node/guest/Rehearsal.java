package dev.cofferdam.node.guest;

import dev.cofferdam.internal.v1.GuestServiceGrpc;
import dev.cofferdam.internal.v1.RehearseRequest;
import dev.cofferdam.internal.v1.RehearseResponse;
import dev.cofferdam.v1.ProcessSpec;
import dev.cofferdam.v1.StartProcessRequest;
import io.grpc.Channel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.StreamObserver;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** One process of a guest that was not configured yet, from its start to its end. */
final class Rehearsal implements StreamObserver<RehearseResponse> {
  private final CompletableFuture<Integer> exit = new CompletableFuture<>();

  private Rehearsal() {}

  /**
   * @return the process's exit code
   * @throws StatusRuntimeException what the guest said, or DEADLINE_EXCEEDED
   */
  static int run(Channel channel, List<String> command, Duration patience) {
    Rehearsal rehearsal = new Rehearsal();
    StreamObserver<RehearseRequest> requests =
        GuestServiceGrpc.newStub(channel)
            .withWaitForReady()
            .withDeadlineAfter(patience.toNanos(), TimeUnit.NANOSECONDS)
            .rehearse(rehearsal);
    requests.onNext(
        RehearseRequest.newBuilder()
            .setRequest(
                StartProcessRequest.newBuilder()
                    .setSpec(ProcessSpec.newBuilder().addAllArgv(command)))
            .build());
    requests.onCompleted();
    return rehearsal.await(patience);
  }

  @Override
  public void onNext(RehearseResponse response) {
    if (response.getEvent().hasExited()) {
      exit.complete(response.getEvent().getExited().getExitCode());
    }
  }

  @Override
  public void onError(Throwable thrown) {
    exit.completeExceptionally(thrown);
  }

  @Override
  public void onCompleted() {
    exit.completeExceptionally(
        Status.INTERNAL
            .withDescription("the stream ended before its process")
            .asRuntimeException());
  }

  private int await(Duration patience) {
    try {
      // The call's own deadline comes first; this is for a channel that is lost with its answer.
      return exit.get(patience.plusSeconds(1).toMillis(), TimeUnit.MILLISECONDS);
    } catch (ExecutionException e) {
      throw Status.fromThrowable(e.getCause()).asRuntimeException();
    } catch (TimeoutException e) {
      throw Status.DEADLINE_EXCEEDED.withCause(e).asRuntimeException();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw Status.CANCELLED.withCause(e).asRuntimeException();
    }
  }
}
