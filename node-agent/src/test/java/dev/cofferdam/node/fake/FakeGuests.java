package dev.cofferdam.node.fake;

import dev.cofferdam.node.guest.Activity;
import dev.cofferdam.node.guest.Freshness;
import dev.cofferdam.node.guest.Guest;
import dev.cofferdam.node.guest.GuestConnector;
import dev.cofferdam.node.guest.GuestException;
import dev.cofferdam.node.guest.GuestIdentity;
import io.grpc.Channel;
import io.grpc.ManagedChannel;
import io.grpc.inprocess.InProcessChannelBuilder;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Guests that take what they are told, and remember it. */
public final class FakeGuests implements GuestConnector, AutoCloseable {
  private final Acts acts;
  private final List<GuestIdentity> configured = new ArrayList<>();
  private final List<ManagedChannel> channels = new ArrayList<>();

  /** What every guest says of itself. */
  public volatile Activity activity = new Activity(0, 0, Duration.ZERO);

  private final Kernel kernel;

  public FakeGuests(Acts acts, Kernel kernel) {
    this.acts = acts;
    this.kernel = kernel;
  }

  /** The memory of the guest at the end of a link. */
  private Kernel.Memory memory(Path link) {
    int slot = Integer.parseInt(String.valueOf(link.getFileName()).replace(".sock", ""));
    Kernel.Memory memory = kernel.memory(slot).orElseThrow(() -> silent("nothing runs"));
    if (!memory.running) {
      throw silent("the machine stands still");
    }
    return memory;
  }

  private static Kernel.Memory required(Kernel.Memory memory, String token) {
    if (!memory.token.equals(token)) {
      throw silent("the token is another's");
    }
    return memory;
  }

  private static GuestException silent(String why) {
    return new GuestException(why, new IllegalStateException(why));
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
        memory(link).token = identity.token();
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
      public void freeze(String token, Duration patience) {
        acts.act("guest.freeze");
        required(memory(link), token).frozen = true;
        close();
      }

      @Override
      public void thaw(
          String token, Freshness freshness, Optional<GuestIdentity> identity, Duration patience) {
        acts.act("guest.thaw");
        Kernel.Memory memory = memory(link);
        if (identity.isEmpty() || memory.frozen) {
          required(memory, token);
        }
        identity.ifPresent(copy -> {
          memory.token = copy.token();
          synchronized (FakeGuests.this) {
            configured.add(copy);
          }
        });
        memory.frozen = false;
      }

      @Override
      public Activity activity(String token, Duration patience) {
        acts.mayFail("guest.activity");
        required(memory(link), token);
        return activity;
      }

      @Override
      public Channel connected(Duration patience) {
        var _ = memory(link);
        return channel;
      }

      @Override
      public void end(String why) {
        close();
      }

      @Override
      public void close() {
        channel.shutdownNow();
      }
    };
  }
}
