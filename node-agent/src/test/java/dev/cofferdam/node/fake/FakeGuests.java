package dev.cofferdam.node.fake;

import dev.cofferdam.node.guest.Guest;
import dev.cofferdam.node.guest.GuestConnector;
import dev.cofferdam.node.guest.GuestIdentity;
import io.grpc.Channel;
import io.grpc.ManagedChannel;
import io.grpc.inprocess.InProcessChannelBuilder;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** Guests that take what they are told, and remember it. */
public final class FakeGuests implements GuestConnector, AutoCloseable {
  private final Acts acts;
  private final List<GuestIdentity> configured = new ArrayList<>();
  private final List<ManagedChannel> channels = new ArrayList<>();

  public FakeGuests(Acts acts) {
    this.acts = acts;
  }

  public synchronized List<GuestIdentity> configured() {
    return List.copyOf(configured);
  }

  @Override
  public synchronized void close() {
    channels.forEach(ManagedChannel::shutdownNow);
  }

  @Override
  public Guest connect(Path link) {
    ManagedChannel channel =
        InProcessChannelBuilder.forName(String.valueOf(link.getFileName())).build();
    synchronized (this) {
      channels.add(channel);
    }
    return new Guest() {
      @Override
      public void configure(GuestIdentity identity, Duration patience) {
        acts.act("guest.configure");
        synchronized (FakeGuests.this) {
          configured.add(identity);
        }
      }

      @Override
      public void configureGrown(GuestIdentity identity, Duration patience) {
        acts.act("guest.grow");
        configure(identity, patience);
      }

      @Override
      public void rehearse(GuestIdentity identity, List<String> command, Duration patience) {
        acts.act("guest.rehearse");
      }

      @Override
      public void prepareSnapshot(List<String> warmUp, Duration patience) {
        acts.act("guest.prepare");
      }

      @Override
      public Channel connected(Duration patience) {
        return channel;
      }

      @Override
      public void end() {
        close();
      }

      @Override
      public void close() {
        channel.shutdownNow();
      }
    };
  }
}
