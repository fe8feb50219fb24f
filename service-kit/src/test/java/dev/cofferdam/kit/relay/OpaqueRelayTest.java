package dev.cofferdam.kit.relay;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.protobuf.ByteString;
import com.google.protobuf.CodedOutputStream;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.FileInfo;
import dev.cofferdam.v1.FileServiceGrpc;
import dev.cofferdam.v1.ReadFileRequest;
import dev.cofferdam.v1.ReadFileResponse;
import dev.cofferdam.v1.StatFileRequest;
import dev.cofferdam.v1.WriteFileRequest;
import dev.cofferdam.v1.WriteFileResponse;
import io.grpc.CallOptions;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Server;
import io.grpc.StatusRuntimeException;
import io.grpc.inprocess.InProcessChannelBuilder;
import io.grpc.inprocess.InProcessServerBuilder;
import io.grpc.stub.ClientCallStreamObserver;
import io.grpc.stub.ClientResponseObserver;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** client - relay - guest, all in this process. */
class OpaqueRelayTest {
  private final Guest guest = new Guest();
  private Server behind;
  private Server relay;
  private ManagedChannel toBehind;
  private ManagedChannel toRelay;

  private static final class Guest extends FileServiceGrpc.FileServiceImplBase {
    final AtomicInteger sent = new AtomicInteger();
    final CountDownLatch cancelled = new CountDownLatch(1);
    final CountDownLatch messages = new CountDownLatch(101);
    final CompletableFuture<Integer> blocked = new CompletableFuture<>();

    @Override
    public void statFile(StatFileRequest request, StreamObserver<FileInfo> answer) {
      answer.onError(
          Refusals.toStatus(
              new Refusal(ErrorReason.ERROR_REASON_FILE_NOT_FOUND, request.getPath())));
    }

    /** Sends as fast as it is let, and remembers where it had to stop. */
    @Override
    public void readFile(ReadFileRequest request, StreamObserver<ReadFileResponse> answer) {
      ServerCallStreamObserver<ReadFileResponse> out =
          (ServerCallStreamObserver<ReadFileResponse>) answer;
      out.setOnCancelHandler(cancelled::countDown);
      ByteString chunk = ByteString.copyFrom(new byte[64 << 10]);
      out.setOnReadyHandler(() -> {
        while (out.isReady() && sent.get() < request.getLength()) {
          out.onNext(
              ReadFileResponse.newBuilder()
                  .setOffset(sent.getAndIncrement())
                  .setData(chunk)
                  .build());
        }
        if (sent.get() == request.getLength()) {
          if (sent.compareAndSet((int) request.getLength(), -1)) {
            out.onCompleted();
          }
        } else {
          blocked.complete(sent.get());
        }
      });
    }

    @Override
    public StreamObserver<WriteFileRequest> writeFile(StreamObserver<WriteFileResponse> answer) {
      return new StreamObserver<>() {
        private long size;

        @Override
        public void onNext(WriteFileRequest request) {
          size += request.getData().size();
          messages.countDown();
        }

        @Override
        public void onError(Throwable thrown) {
          cancelled.countDown();
        }

        @Override
        public void onCompleted() {
          answer.onNext(WriteFileResponse.newBuilder().setSize(size).build());
          answer.onCompleted();
        }
      };
    }
  }

  @BeforeEach
  void start() throws Exception {
    String name = InProcessServerBuilder.generateName();
    behind = InProcessServerBuilder.forName(name).addService(guest).build().start();
    toBehind = InProcessChannelBuilder.forName(name).build();
    String relayName = InProcessServerBuilder.generateName();
    relay =
        InProcessServerBuilder.forName(relayName)
            .addService(
                OpaqueRelay.service(
                    FileServiceGrpc.getServiceDescriptor(),
                    (sandbox, method) ->
                        new OpaqueRelay.Route(toBehind, CallOptions.DEFAULT, new Metadata())))
            .build()
            .start();
    toRelay = InProcessChannelBuilder.forName(relayName).build();
  }

  @AfterEach
  void stop() {
    toRelay.shutdownNow();
    relay.shutdownNow();
    toBehind.shutdownNow();
    behind.shutdownNow();
  }

  @Test
  void aRefusalFromBehindKeepsItsReason() {
    assertThatThrownBy(() ->
            FileServiceGrpc.newBlockingStub(toRelay)
                .statFile(StatFileRequest.newBuilder().setSandbox("sb").setPath("/x").build()))
        .isInstanceOfSatisfying(
            StatusRuntimeException.class,
            e -> {
              assertThat(Refusals.reason(e))
                  .isEqualTo(Optional.of(ErrorReason.ERROR_REASON_FILE_NOT_FOUND));
              assertThat(e.getStatus().getDescription()).isEqualTo("/x");
            });
  }

  @Test
  void aStreamArrivesWholeAndInOrder() {
    List<Long> offsets = new ArrayList<>();
    FileServiceGrpc.newBlockingStub(toRelay)
        .readFile(ReadFileRequest.newBuilder().setSandbox("sb").setLength(500).build())
        .forEachRemaining(chunk -> offsets.add(chunk.getOffset()));
    assertThat(offsets).hasSize(500).isSorted();
  }

  @Test
  void aReaderThatStopsReadingStopsTheWriter() throws Exception {
    CountDownLatch first = new CountDownLatch(1);
    CompletableFuture<ClientCallStreamObserver<ReadFileRequest>> call = new CompletableFuture<>();
    FileServiceGrpc.newStub(toRelay)
        .readFile(
            ReadFileRequest.newBuilder().setSandbox("sb").setLength(100_000).build(),
            new ClientResponseObserver<ReadFileRequest, ReadFileResponse>() {
              @Override
              public void beforeStart(ClientCallStreamObserver<ReadFileRequest> stream) {
                stream.disableAutoRequestWithInitial(1);
                call.complete(stream);
              }

              @Override
              public void onNext(ReadFileResponse chunk) {
                first.countDown();
              }

              @Override
              public void onError(Throwable thrown) {}

              @Override
              public void onCompleted() {}
            });
    assertThat(first.await(60, TimeUnit.SECONDS)).isTrue();
    // 100,000 chunks were asked for; the writer was stopped after a handful.
    assertThat(guest.blocked.get(60, TimeUnit.SECONDS)).isLessThan(1000);
    call.join().cancel("done", null);
    assertThat(guest.cancelled.await(60, TimeUnit.SECONDS)).isTrue();
  }

  @Test
  void anUploadIsCountedAndAnAbandonedOneIsCancelled() throws Exception {
    CompletableFuture<Long> size = new CompletableFuture<>();
    StreamObserver<WriteFileRequest> upload =
        FileServiceGrpc.newStub(toRelay).writeFile(sizeInto(size));
    for (int i = 0; i < 100; i++) {
      upload.onNext(
          WriteFileRequest.newBuilder()
              .setSandbox("sb")
              .setData(ByteString.copyFrom(new byte[1000]))
              .build());
    }
    upload.onCompleted();
    assertThat(size.get(60, TimeUnit.SECONDS)).isEqualTo(100_000);

    StreamObserver<WriteFileRequest> abandoned =
        FileServiceGrpc.newStub(toRelay).writeFile(sizeInto(new CompletableFuture<>()));
    abandoned.onNext(WriteFileRequest.newBuilder().setSandbox("sb").build());
    // Cancelled before its first message arrived, the call would never have got behind the relay.
    assertThat(guest.messages.await(60, TimeUnit.SECONDS)).isTrue();
    abandoned.onError(new IllegalStateException("gone"));
    assertThat(guest.cancelled.await(60, TimeUnit.SECONDS)).isTrue();
  }

  @Test
  void ofSeveralSandboxFieldsTheLastCounts() throws Exception {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    CodedOutputStream out = CodedOutputStream.newInstance(bytes);
    out.writeString(2, "path");
    out.writeString(1, "first");
    out.writeString(1, "last");
    out.flush();
    assertThat(OpaqueRelay.sandboxOf(bytes.toByteArray())).isEqualTo("last");
    assertThat(StatFileRequest.parseFrom(bytes.toByteArray()).getSandbox()).isEqualTo("last");
    assertThat(OpaqueRelay.sandboxOf(new byte[0])).isEmpty();
    assertThatThrownBy(() -> OpaqueRelay.sandboxOf(new byte[] {10, 100, 1}))
        .isInstanceOf(Refusal.class)
        .hasMessageContaining("no protobuf message");
  }

  private static StreamObserver<WriteFileResponse> sizeInto(CompletableFuture<Long> size) {
    return new StreamObserver<>() {
      @Override
      public void onNext(WriteFileResponse response) {
        size.complete(response.getSize());
      }

      @Override
      public void onError(Throwable thrown) {
        size.completeExceptionally(thrown);
      }

      @Override
      public void onCompleted() {}
    };
  }
}
