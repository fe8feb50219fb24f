package dev.cofferdam.kit.client;

import io.grpc.ConnectivityState;
import io.grpc.ManagedChannel;
import java.util.concurrent.Executor;

/**
 * Keeps a channel from waiting long before it connects again. gRPC lets its pauses grow to two
 * minutes and its builder has no bound for them, while a peer of the mesh is back within seconds of
 * its end.
 */
public final class Reconnects {
  private final ManagedChannel channel;
  private final Executor later;

  private Reconnects(ManagedChannel channel, Executor later) {
    this.channel = channel;
    this.later = later;
  }

  /**
   * Until the channel is shut down.
   *
   * @param later runs what it is given once the longest pause is over
   */
  public static void watch(ManagedChannel channel, Executor later) {
    new Reconnects(channel, later).look();
  }

  private void look() {
    ConnectivityState state = channel.getState(false);
    switch (state) {
      case TRANSIENT_FAILURE ->
          later.execute(() -> {
            // Without effect on a channel that is connected by now.
            channel.resetConnectBackoff();
            look();
          });
      case IDLE, CONNECTING, READY -> channel.notifyWhenStateChanged(state, this::look);
      case SHUTDOWN -> {}
    }
  }
}
