package dev.cofferdam.kit.client;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.testkit.InProcess;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.FileInfo;
import dev.cofferdam.v1.FileServiceGrpc;
import dev.cofferdam.v1.StatFileRequest;
import io.grpc.Channel;
import io.grpc.ClientInterceptors;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.inprocess.InProcessChannelBuilder;
import io.grpc.stub.StreamObserver;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class GuardTest {
  private final Guard guard =
      new Guard("broker", ErrorReason.ERROR_REASON_BROKER_UNAVAILABLE, new SimpleMeterRegistry());
  private final AtomicInteger calls = new AtomicInteger();

  @Test
  void onlyWhatMayHappenTwiceIsTriedAgain() {
    assertThatThrownBy(() -> guard.call(this::unavailable)).hasMessageContaining("UNAVAILABLE");
    assertThat(calls).hasValue(1);
    assertThatThrownBy(() -> guard.idempotent(this::unavailable))
        .hasMessageContaining("UNAVAILABLE");
    assertThat(calls).hasValue(4);
  }

  @Test
  void aRefusalIsAnAnswerAndOpensNothing() {
    for (int i = 0; i < 50; i++) {
      assertThatThrownBy(() ->
              guard.idempotent(() -> {
                calls.incrementAndGet();
                throw Refusals.toStatus(
                    new Refusal(ErrorReason.ERROR_REASON_SECRET_NOT_FOUND, "no such"));
              }))
          .hasMessageContaining("no such");
    }
    assertThat(calls).hasValue(50);
  }

  @Test
  void aPartyThatSaysWhoIsAwayIsNotAwayItself() {
    for (int i = 0; i < 50; i++) {
      assertThatThrownBy(() ->
              guard.idempotent(() -> {
                calls.incrementAndGet();
                throw Refusals.toStatus(
                    new Refusal(ErrorReason.ERROR_REASON_STORE_UNAVAILABLE, "sealed"));
              }))
          .hasMessageContaining("sealed");
    }
    assertThat(calls).hasValue(50);
  }

  @Test
  void aPartyThatIsAwayIsNotAskedAgainAtOnce() {
    for (int i = 0; i < 10; i++) {
      assertThatThrownBy(() -> guard.call(this::unavailable));
    }
    assertThat(calls.get()).isLessThan(10);
    assertThatThrownBy(() -> guard.call(this::unavailable))
        .satisfies(e ->
            assertThat(Refusals.reason(e))
                .isEqualTo(Optional.of(ErrorReason.ERROR_REASON_BROKER_UNAVAILABLE)));
  }

  @Test
  void openingsThatFailCloseTheWay() {
    ManagedChannel nobody = InProcessChannelBuilder.forName("nobody").build();
    try {
      Channel guarded = ClientInterceptors.intercept(nobody, guard.openings());
      for (int i = 0; i < 10; i++) {
        assertThatThrownBy(() -> stat(guarded)).hasMessageContaining("UNAVAILABLE");
      }
      assertThatThrownBy(() -> stat(guarded))
          .satisfies(e ->
              assertThat(Refusals.reason(e))
                  .isEqualTo(Optional.of(ErrorReason.ERROR_REASON_BROKER_UNAVAILABLE)));
    } finally {
      nobody.shutdownNow();
    }
  }

  @Test
  void howAnOpenCallEndsClosesNothing() {
    var behind =
        new FileServiceGrpc.FileServiceImplBase() {
          @Override
          public void statFile(StatFileRequest request, StreamObserver<FileInfo> answer) {
            calls.incrementAndGet();
            answer.onError(Status.UNAVAILABLE.withDescription("no guest").asException());
          }
        };
    try (InProcess server = InProcess.serve(behind)) {
      Channel guarded = ClientInterceptors.intercept(server.channel(), guard.openings());
      for (int i = 0; i < 50; i++) {
        assertThatThrownBy(() -> stat(guarded)).hasMessageContaining("no guest");
      }
    }
    assertThat(calls).hasValue(50);
  }

  private static FileInfo stat(Channel channel) {
    return FileServiceGrpc.newBlockingStub(channel)
        .withDeadlineAfter(30, TimeUnit.SECONDS)
        .statFile(StatFileRequest.getDefaultInstance());
  }

  private String unavailable() {
    calls.incrementAndGet();
    throw Status.UNAVAILABLE.asRuntimeException();
  }
}
