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
import io.grpc.StatusException;
import io.grpc.stub.BlockingClientCall;
import io.grpc.stub.MetadataUtils;
import java.io.IOException;
import java.io.OutputStream;
import java.time.Duration;
import java.util.List;
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
    BlockingClientCall<StartProcessRequest, ProcessEvent> call =
        ProcessServiceGrpc.newBlockingV2Stub(relay.guest().connected(PATIENCE))
            .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(headers))
            .withDeadlineAfter(longest.toNanos(), TimeUnit.NANOSECONDS)
            .startProcess();
    try {
      // A call that has ended takes nothing more, and has said all the same how it ended.
      var _ = call.write(StartProcessRequest.newBuilder().setSpec(spec).build());
      var _ =
          call.write(
              StartProcessRequest.newBuilder()
                  .setCloseStdin(CloseStdin.getDefaultInstance())
                  .build());
      for (ProcessEvent event = call.read(); event != null; event = call.read()) {
        switch (event.getEventCase()) {
          case STDOUT -> event.getStdout().getData().writeTo(out);
          case STDERR -> event.getStderr().getData().writeTo(err);
          case EXITED -> {
            return code(event.getExited());
          }
          case STARTED, EVENT_NOT_SET -> {}
        }
      }
      throw new IOException(what + ": its output ended before it did");
    } catch (StatusException e) {
      if (e.getStatus().getCode() == Status.Code.DEADLINE_EXCEEDED) {
        throw new IOException(
            "%s did not end within %d min".formatted(what, longest.toMinutes()), e);
      }
      throw new IOException(
          "%s: %s, %s".formatted(what, e.getStatus().getCode(), e.getStatus().getDescription()), e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException(what + ": interrupted", e);
    } finally {
      call.cancel("done", null);
    }
  }

  /** As a shell tells it. */
  private int code(ProcessExited exited) {
    return exited.getSignal() == 0 ? exited.getExitCode() : 128 + exited.getSignal();
  }
}
