package dev.cofferdam.kit.client;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import com.google.protobuf.ByteString;
import dev.cofferdam.v1.OutputChunk;
import dev.cofferdam.v1.ProcessEvent;
import dev.cofferdam.v1.ProcessServiceGrpc;
import dev.cofferdam.v1.StartProcessRequest;
import io.grpc.CallOptions;
import io.grpc.ManagedChannel;
import io.grpc.Server;
import io.grpc.Status;
import io.grpc.StatusException;
import io.grpc.inprocess.InProcessChannelBuilder;
import io.grpc.inprocess.InProcessServerBuilder;
import io.grpc.stub.StreamObserver;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The limit is for a wait that would never end. */
@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
final class TwoWayCallTest {
  private final BlockingQueue<ByteString> heard = new LinkedBlockingQueue<>();
  private final CountDownLatch cancelled = new CountDownLatch(1);
  private final String name = InProcessServerBuilder.generateName();
  private Server server;
  private ManagedChannel channel;

  /** Says what it hears; ends well at "end", otherwise at "fail", and hears no more of it then. */
  private final class Echo extends ProcessServiceGrpc.ProcessServiceImplBase {
    @Override
    public StreamObserver<StartProcessRequest> startProcess(StreamObserver<ProcessEvent> out) {
      return new StreamObserver<>() {
        @Override
        public void onNext(StartProcessRequest request) {
          ByteString said = request.getStdin();
          heard.add(said);
          switch (said.toStringUtf8()) {
            case "end" -> out.onCompleted();
            case "fail" -> out.onError(Status.NOT_FOUND.asRuntimeException());
            default ->
                out.onNext(
                    ProcessEvent.newBuilder()
                        .setStdout(OutputChunk.newBuilder().setData(said))
                        .build());
          }
        }

        @Override
        public void onError(Throwable failure) {
          cancelled.countDown();
        }

        @Override
        public void onCompleted() {
          out.onCompleted();
        }
      };
    }
  }

  @BeforeEach
  void start() throws Exception {
    server = InProcessServerBuilder.forName(name).addService(new Echo()).build().start();
    channel = InProcessChannelBuilder.forName(name).build();
  }

  @AfterEach
  void stop() throws Exception {
    channel.shutdownNow();
    server.shutdownNow();
    assertThat(server.awaitTermination(30, TimeUnit.SECONDS)).isTrue();
  }

  private TwoWayCall<StartProcessRequest, ProcessEvent> call() {
    return TwoWayCall.start(
        channel, ProcessServiceGrpc.getStartProcessMethod(), CallOptions.DEFAULT);
  }

  private static StartProcessRequest saying(String text) {
    return StartProcessRequest.newBuilder().setStdin(ByteString.copyFromUtf8(text)).build();
  }

  @Test
  void bothWaysInOrderToTheEnd() throws Exception {
    var call = call();
    for (int i = 0; i < 100; i++) {
      assertThat(call.write(saying("word " + i))).isTrue();
      assertThat(call.read().orElseThrow().getStdout().getData().toStringUtf8())
          .isEqualTo("word " + i);
    }
    call.halfClose();
    assertThat(call.read()).isEmpty();
    assertThat(call.read()).isEmpty();
  }

  /** The server has ended the call, and what it has said is more than is taken unasked. */
  @Test
  void whatIsWrittenTogetherWaitsForNothingBetween() throws Exception {
    var call = call();
    assertThat(
            call.writeTogether(
                List.of(saying("a"), saying("b"), saying("c"), saying("end"), saying("late"))))
        .isTrue();
    for (String word : List.of("a", "b", "c")) {
      assertThat(call.read().orElseThrow().getStdout().getData().toStringUtf8()).isEqualTo(word);
    }
    assertThat(call.read()).isEmpty();
    assertThat(call.writeTogether(List.of(saying("later"), saying("still")))).isFalse();
  }

  /** Where grpc-java's own waits for ever. */
  @Test
  void aWriteAfterTheEndIsDropped() throws Exception {
    var call = call();
    assertThat(call.write(saying("end"))).isTrue();
    assertThat(call.read()).isEmpty();

    assertThat(call.write(saying("late"))).isFalse();
    assertThat(heard).containsExactly(ByteString.copyFromUtf8("end"));
  }

  @Test
  void whatComesAfterItsOwnCancelMeetsTheEnd() throws Exception {
    for (int i = 0; i < 100; i++) {
      var call = call();
      assertThat(call.write(saying("word"))).isTrue();
      call.cancel("enough");
      assertThatThrownBy(() -> call.write(saying("late"))).isInstanceOf(StatusException.class);
      call.halfClose();
    }
  }

  @Test
  void aWriteAfterAFailureTellsOfIt() throws Exception {
    var call = call();
    assertThat(call.write(saying("fail"))).isTrue();
    assertThatThrownBy(call::read)
        .isInstanceOfSatisfying(
            StatusException.class,
            e -> assertThat(e.getStatus().getCode()).isEqualTo(Status.Code.NOT_FOUND));

    assertThatThrownBy(() -> call.write(saying("late"))).isInstanceOf(StatusException.class);
  }

  @Test
  void aCancelWakesWhoReadsAndTellsTheServer() throws Exception {
    var call = call();
    assertThat(call.write(saying("word"))).isTrue();
    assertThat(call.read()).isPresent();
    CompletableFuture<Throwable> met =
        CompletableFuture.supplyAsync(() -> catchThrowable(call::read));

    call.cancel("enough");

    assertThat(met.get(30, TimeUnit.SECONDS)).isInstanceOf(StatusException.class);
    assertThat(cancelled.await(30, TimeUnit.SECONDS)).isTrue();
  }
}
