package dev.cofferdam.kit.client;

import static org.assertj.core.api.Assertions.assertThat;

import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.ConnectivityState;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class ReconnectsTest {
  private final Deque<Runnable> later = new ArrayDeque<>();
  private final FakeChannel channel = new FakeChannel();

  @Test
  void aChannelThatFailsIsHurriedForAsLongAsItFails() {
    Reconnects.watch(channel, later::add);
    channel.go(ConnectivityState.CONNECTING);
    assertThat(later).isEmpty();
    channel.go(ConnectivityState.TRANSIENT_FAILURE);
    for (int pause = 1; pause <= 3; pause++) {
      assertThat(later).hasSize(1);
      later.remove().run();
      assertThat(channel.resets).isEqualTo(pause);
    }
    channel.go(ConnectivityState.READY);
    later.remove().run();
    assertThat(later).isEmpty();
    channel.go(ConnectivityState.TRANSIENT_FAILURE);
    assertThat(later).as("the next time too").hasSize(1);
  }

  @Test
  void aChannelThatIsShutDownIsLeftAlone() {
    Reconnects.watch(channel, later::add);
    channel.go(ConnectivityState.TRANSIENT_FAILURE);
    channel.go(ConnectivityState.SHUTDOWN);
    later.remove().run();
    assertThat(later).isEmpty();
    assertThat(channel.waiting).isEmpty();
  }

  /** Its state is what the test says. */
  private static final class FakeChannel extends ManagedChannel {
    private final Deque<Runnable> waiting = new ArrayDeque<>();
    private ConnectivityState state = ConnectivityState.IDLE;
    private int resets;

    void go(ConnectivityState next) {
      state = next;
      Deque<Runnable> told = new ArrayDeque<>(waiting);
      waiting.clear();
      told.forEach(Runnable::run);
    }

    @Override
    public ConnectivityState getState(boolean requestConnection) {
      return state;
    }

    @Override
    public void notifyWhenStateChanged(ConnectivityState source, Runnable callback) {
      assertThat(source).isEqualTo(state);
      waiting.add(callback);
    }

    @Override
    public void resetConnectBackoff() {
      resets++;
    }

    @Override
    public <Q, A> ClientCall<Q, A> newCall(MethodDescriptor<Q, A> method, CallOptions options) {
      throw new UnsupportedOperationException();
    }

    @Override
    public String authority() {
      return "fake";
    }

    @Override
    public ManagedChannel shutdown() {
      return this;
    }

    @Override
    public boolean isShutdown() {
      return state == ConnectivityState.SHUTDOWN;
    }

    @Override
    public boolean isTerminated() {
      return isShutdown();
    }

    @Override
    public ManagedChannel shutdownNow() {
      return this;
    }

    @Override
    public boolean awaitTermination(long timeout, TimeUnit unit) {
      return true;
    }
  }
}
