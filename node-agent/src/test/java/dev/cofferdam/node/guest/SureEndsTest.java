package dev.cofferdam.node.guest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.internal.v1.ConfigureRequest;
import dev.cofferdam.internal.v1.GuestServiceGrpc;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class SureEndsTest {
  private final ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor();

  @AfterEach
  void stop() {
    timer.shutdownNow();
  }

  @Test
  void aCallThatNothingEverEndsEnds() {
    assertThatThrownBy(() -> call(new Silent(false)))
        .isInstanceOfSatisfying(
            StatusRuntimeException.class,
            e -> assertThat(e.getStatus().getCode()).isEqualTo(Status.Code.DEADLINE_EXCEEDED));
  }

  @Test
  void aCallThatEndsByItselfEndsOnce() {
    assertThatThrownBy(() -> call(new Silent(true)))
        .isInstanceOfSatisfying(
            StatusRuntimeException.class,
            e -> assertThat(e.getStatus().getCode()).isEqualTo(Status.Code.ABORTED));
  }

  private void call(Channel channel) {
    var _ =
        GuestServiceGrpc.newBlockingStub(channel)
            .withInterceptors(new SureEnds(timer, Duration.ofMillis(10)))
            .withDeadlineAfter(10, TimeUnit.MILLISECONDS)
            .configure(ConfigureRequest.getDefaultInstance());
  }

  /** A channel whose calls never say anything, not even when they are cancelled. */
  private static final class Silent extends Channel {
    private final boolean butForItsEnd;

    Silent(boolean butForItsEnd) {
      this.butForItsEnd = butForItsEnd;
    }

    @Override
    public String authority() {
      return "silent";
    }

    @Override
    public <Q, A> ClientCall<Q, A> newCall(MethodDescriptor<Q, A> method, CallOptions options) {
      return new ClientCall<>() {
        @Override
        public void start(Listener<A> listener, Metadata headers) {
          if (butForItsEnd) {
            listener.onClose(Status.ABORTED, new Metadata());
          }
        }

        @Override
        public void request(int messages) {}

        @Override
        public void cancel(@Nullable String message, @Nullable Throwable cause) {}

        @Override
        public void halfClose() {}

        @Override
        public void sendMessage(Q message) {}
      };
    }
  }
}
