package dev.cofferdam.node.world;

import dev.cofferdam.v1.ProcessEvent;
import dev.cofferdam.v1.ProcessServiceGrpc;
import dev.cofferdam.v1.ProcessSpec;
import dev.cofferdam.v1.StartProcessRequest;
import io.grpc.Channel;
import io.grpc.Metadata;
import io.grpc.stub.MetadataUtils;
import io.grpc.stub.StreamObserver;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** A process in a guest, from its start to its end. */
final class Execution implements StreamObserver<ProcessEvent> {
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  private final CompletableFuture<Ended> ended = new CompletableFuture<>();
  private final ByteArrayOutputStream output = new ByteArrayOutputStream();

  private Execution() {}

  /**
   * @param output of both streams, as it came
   */
  record Ended(int exit, String output) {}

  static Ended run(Channel guest, String token, List<String> argv, Duration patience)
      throws Exception {
    Metadata headers = new Metadata();
    headers.put(AUTHORIZATION, "Bearer " + token);
    Execution execution = new Execution();
    StreamObserver<StartProcessRequest> requests =
        ProcessServiceGrpc.newStub(guest)
            .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(headers))
            .withDeadlineAfter(patience.toMillis(), TimeUnit.MILLISECONDS)
            .startProcess(execution);
    requests.onNext(
        StartProcessRequest.newBuilder()
            .setSpec(ProcessSpec.newBuilder().addAllArgv(argv))
            .build());
    requests.onCompleted();
    return execution.ended.get(patience.toMillis(), TimeUnit.MILLISECONDS);
  }

  @Override
  public void onNext(ProcessEvent event) {
    switch (event.getEventCase()) {
      case STDOUT -> output.writeBytes(event.getStdout().getData().toByteArray());
      case STDERR -> output.writeBytes(event.getStderr().getData().toByteArray());
      case EXITED ->
          ended.complete(
              new Ended(event.getExited().getExitCode(), output.toString(StandardCharsets.UTF_8)));
      case STARTED, EVENT_NOT_SET -> {}
    }
  }

  @Override
  public void onError(Throwable thrown) {
    ended.completeExceptionally(thrown);
  }

  @Override
  public void onCompleted() {
    ended.completeExceptionally(new AssertionError("the stream ended before its process"));
  }
}
