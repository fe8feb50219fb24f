package dev.cofferdam.scheduler;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.protobuf.ByteString;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.FileServiceGrpc;
import dev.cofferdam.v1.ForwardRequest;
import dev.cofferdam.v1.ForwardResponse;
import dev.cofferdam.v1.PortServiceGrpc;
import dev.cofferdam.v1.ProcessEvent;
import dev.cofferdam.v1.ProcessSpec;
import dev.cofferdam.v1.ReadFileRequest;
import dev.cofferdam.v1.ReadFileResponse;
import dev.cofferdam.v1.StartProcessRequest;
import dev.cofferdam.v1.StatFileRequest;
import io.grpc.Status;
import io.grpc.stub.BlockingClientCall;
import io.grpc.stub.ClientCallStreamObserver;
import io.grpc.stub.ClientResponseObserver;
import io.grpc.stub.StreamObserver;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** Streams to a sandbox, as they pass through. */
class RelayTest extends MeshTest {
  private static final long TOTAL = 64L << 20;

  /** Collects a stream. */
  private static final class Events implements StreamObserver<ProcessEvent> {
    final List<ProcessEvent> all = new CopyOnWriteArrayList<>();
    final CompletableFuture<Optional<Throwable>> end = new CompletableFuture<>();

    @Override
    public void onNext(ProcessEvent event) {
      all.add(event);
    }

    @Override
    public void onError(Throwable thrown) {
      end.complete(Optional.of(thrown));
    }

    @Override
    public void onCompleted() {
      end.complete(Optional.empty());
    }
  }

  @Test
  void aProcessStreamGoesBothWaysAndTheTokenStaysHere() throws Exception {
    String id = create().getId();
    Events events = new Events();
    StreamObserver<StartProcessRequest> stdin = mesh.processes(token).startProcess(events);
    stdin.onNext(start(id));
    stdin.onNext(
        StartProcessRequest.newBuilder().setStdin(ByteString.copyFromUtf8("hello")).build());
    stdin.onCompleted();
    assertThat(events.end.get(Mesh.PATIENCE_S, TimeUnit.SECONDS)).isEmpty();
    assertThat(events.all)
        .extracting(event -> event.getStdout().getData().toStringUtf8())
        .containsExactly("hello", "");
    assertThat(events.all.getLast().getExited().getExitCode()).isEqualTo(7);
    assertThat(mesh.node.tokensSeen).containsExactly("");
  }

  @Test
  void aPortIsReachedByWhoMayReachPortsAndOwnsTheSandbox() throws Exception {
    String id = create().getId();
    assertThat(forward(token, id)).isEqualTo("hello");
    assertThat(mesh.node.tokensSeen).containsExactly("");
    assertThatThrownBy(() -> forward(mesh.token("acme", "exec,files,sandboxes:write"), id))
        .extracting(thrown -> Refusals.reason(thrown).orElseThrow())
        .isEqualTo(ErrorReason.ERROR_REASON_SCOPE_MISSING);
    assertThatThrownBy(() -> forward(mesh.token("other", Mesh.ALL_SCOPES), id))
        .extracting(thrown -> Refusals.reason(thrown).orElseThrow())
        .isEqualTo(ErrorReason.ERROR_REASON_SANDBOX_NOT_FOUND);
    assertThat(mesh.node.tokensSeen).hasSize(1);
  }

  private String forward(String token, String sandbox) throws Exception {
    BlockingClientCall<ForwardRequest, ForwardResponse> call =
        PortServiceGrpc.newBlockingV2Stub(mesh.tenant(token))
            .withDeadlineAfter(Mesh.PATIENCE_S, TimeUnit.SECONDS)
            .forward();
    call.write(ForwardRequest.newBuilder().setSandbox(sandbox).setPort(80).build());
    call.write(ForwardRequest.newBuilder().setData(ByteString.copyFromUtf8("hello")).build());
    call.halfClose();
    StringBuilder said = new StringBuilder();
    for (ForwardResponse answer = call.read(); answer != null; answer = call.read()) {
      said.append(answer.getData().toStringUtf8());
    }
    return said.toString();
  }

  @Test
  void aStreamToWhatIsNotRunningOrNotOnesOwnIsRefused() throws Exception {
    String id = create().getId();
    assertThat(refusal(token, "sb-aaaaaaaaaaaaaaaaaaaa"))
        .isEqualTo(ErrorReason.ERROR_REASON_SANDBOX_NOT_FOUND);
    assertThat(refusal(token, "\0\n" + "x".repeat(10_000)))
        .isEqualTo(ErrorReason.ERROR_REASON_SANDBOX_NOT_FOUND);
    assertThat(refusal(mesh.token("other", Mesh.ALL_SCOPES), id))
        .isEqualTo(ErrorReason.ERROR_REASON_SANDBOX_NOT_FOUND);
    assertThat(refusal(mesh.token("acme", "files,sandboxes:write"), id))
        .isEqualTo(ErrorReason.ERROR_REASON_SCOPE_MISSING);
    assertThat(refusal("", id)).isEqualTo(ErrorReason.ERROR_REASON_TOKEN_MISSING);
    var _ = acme.deleteSandbox(delete(id));
    assertThat(refusal(token, id)).isEqualTo(ErrorReason.ERROR_REASON_SANDBOX_NOT_RUNNING);
    assertThat(mesh.node.tokensSeen).isEmpty();
  }

  @Test
  void streamsGoOnToANodeThatHasNotComeBackAfterARestart() throws Exception {
    String id = create().getId();
    mesh.stop();
    mesh.start();
    Events events = new Events();
    StreamObserver<StartProcessRequest> stdin = mesh.processes(token).startProcess(events);
    stdin.onNext(start(id));
    stdin.onCompleted();
    assertThat(events.end.get(Mesh.PATIENCE_S, TimeUnit.SECONDS)).isEmpty();
  }

  @Test
  void aCallThatIsNoStreamIsBoundedEvenWhereItsCallerSetsNoDeadline() {
    String id = create().getId();
    var _ =
        FileServiceGrpc.newBlockingStub(mesh.tenant(token))
            .statFile(StatFileRequest.newBuilder().setSandbox(id).setPath("/").build());
    assertThat(mesh.node.deadlines).hasSize(1).allMatch(Optional::isPresent);
  }

  @Test
  void aNodeThatIsAwayIsNotAskedForEveryStream() throws Exception {
    String id = create().getId();
    mesh.stopNode();
    for (int i = 0; i < 10; i++) {
      assertThat(end(id).getCode()).isEqualTo(Status.Code.UNAVAILABLE);
    }
    assertThat(refusal(token, id)).isEqualTo(ErrorReason.ERROR_REASON_NODE_UNAVAILABLE);
  }

  @Test
  void aReaderThatStopsHoldsTheNodeBackAndLosesNothing() throws Exception {
    String id = create().getId();
    AtomicLong received = new AtomicLong();
    CompletableFuture<Optional<Throwable>> end = new CompletableFuture<>();
    CompletableFuture<ClientCallStreamObserver<ReadFileRequest>> reader = new CompletableFuture<>();
    CountDownLatch first = new CountDownLatch(1);
    mesh.files(token)
        .readFile(
            ReadFileRequest.newBuilder().setSandbox(id).setPath("/big").setLength(TOTAL).build(),
            new ClientResponseObserver<ReadFileRequest, ReadFileResponse>() {
              private @Nullable ClientCallStreamObserver<ReadFileRequest> call;

              @Override
              public void beforeStart(ClientCallStreamObserver<ReadFileRequest> stream) {
                call = stream;
                stream.disableAutoRequestWithInitial(1);
                reader.complete(stream);
              }

              @Override
              public void onNext(ReadFileResponse chunk) {
                received.addAndGet(chunk.getData().size());
                if (first.getCount() > 0) {
                  first.countDown();
                } else if (call != null) {
                  call.request(1);
                }
              }

              @Override
              public void onError(Throwable thrown) {
                end.complete(Optional.of(thrown));
              }

              @Override
              public void onCompleted() {
                end.complete(Optional.empty());
              }
            });
    assertThat(first.await(Mesh.PATIENCE_S, TimeUnit.SECONDS)).isTrue();
    // Without back-pressure the node would run to the end and never be held back short of it.
    assertThat(mesh.node.heldBack.await(Mesh.PATIENCE_S, TimeUnit.SECONDS)).isTrue();
    assertThat(mesh.node.bytesSent.get()).isLessThan(TOTAL / 4);
    reader.get(Mesh.PATIENCE_S, TimeUnit.SECONDS).request(1);
    assertThat(end.get(Mesh.PATIENCE_S, TimeUnit.SECONDS)).isEmpty();
    assertThat(received.get()).isEqualTo(TOTAL);
  }

  private Status end(String sandbox) throws Exception {
    Events events = new Events();
    mesh.processes(token).startProcess(events).onNext(start(sandbox));
    return Status.fromThrowable(events.end.get(Mesh.PATIENCE_S, TimeUnit.SECONDS).orElseThrow());
  }

  private ErrorReason refusal(String token, String sandbox) throws Exception {
    Events events = new Events();
    StreamObserver<StartProcessRequest> stdin = mesh.processes(token).startProcess(events);
    stdin.onNext(start(sandbox));
    Throwable thrown = events.end.get(Mesh.PATIENCE_S, TimeUnit.SECONDS).orElseThrow();
    return Refusals.reason(thrown).orElseThrow();
  }

  private static StartProcessRequest start(String sandbox) {
    return StartProcessRequest.newBuilder()
        .setSandbox(sandbox)
        .setSpec(ProcessSpec.newBuilder().addArgv("cat"))
        .build();
  }
}
