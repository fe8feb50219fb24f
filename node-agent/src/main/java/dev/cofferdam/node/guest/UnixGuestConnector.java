package dev.cofferdam.node.guest;

import dev.cofferdam.internal.v1.ConfigureRequest;
import dev.cofferdam.internal.v1.FreezeRequest;
import dev.cofferdam.internal.v1.GetActivityRequest;
import dev.cofferdam.internal.v1.GetActivityResponse;
import dev.cofferdam.internal.v1.GuestServiceGrpc;
import dev.cofferdam.internal.v1.PrepareSnapshotRequest;
import dev.cofferdam.internal.v1.ThawRequest;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.ErrorReason;
import io.grpc.Channel;
import io.grpc.ClientInterceptors;
import io.grpc.ConnectivityState;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.stub.MetadataUtils;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.nio.NioIoHandler;
import io.netty.util.concurrent.DefaultThreadFactory;
import java.net.UnixDomainSocketAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Function;

/** Guests over the slots' Unix sockets, all on one event loop thread. */
public final class UnixGuestConnector implements GuestConnector, AutoCloseable {
  /** Between tries while a guest comes up. gRPC's own back-off begins at a second. */
  private static final long EAGER_MILLIS = 5;

  /**
   * How many tries are eager: about 2 s of them. Whoever is away longer is not waited for by a
   * create.
   */
  private static final int EAGER_TRIES = 400;

  private static final long PATIENT_MILLIS = 250;

  /** A connection that ends sooner was one more try. */
  private static final long LASTING_NANOS = 1_000_000_000;

  private static final int MAX_MESSAGE = 1 << 20;
  private static final long GONE_SECONDS = 10;

  /** After that much silence a guest with open calls is asked whether it is there. */
  private static final Duration SILENCE = Duration.ofSeconds(20);

  /** How long it may take to say so: an emulated one under load is slow. */
  private static final Duration ANSWER = Duration.ofSeconds(20);

  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  /** After its deadline a call of our own has ended, one way or the other. */
  private static final Duration GRACE = Duration.ofSeconds(1);

  private static final long SETTLE_NANOS = 300_000_000;

  private final EventLoopGroup loop =
      new MultiThreadIoEventLoopGroup(
          1, new DefaultThreadFactory("guest-link", true), NioIoHandler.newFactory());
  private final Executor executor;
  private final Duration silence;
  private final Duration answer;

  /**
   * @param executor runs callbacks of calls
   */
  public UnixGuestConnector(Executor executor) {
    this(executor, SILENCE, ANSWER);
  }

  /**
   * @param silence at least 10 s: gRPC asks no more often
   */
  UnixGuestConnector(Executor executor, Duration silence, Duration answer) {
    this.executor = executor;
    this.silence = silence;
    this.answer = answer;
  }

  @Override
  public Guest connect(Path link) {
    ManagedChannel channel =
        NettyChannelBuilder.forAddress(UnixDomainSocketAddress.of(link))
            .overrideAuthority("guest")
            .channelFactory(LinkChannel::open, UnixDomainSocketAddress.class)
            .eventLoopGroup(loop)
            .executor(executor)
            .usePlaintext()
            // gRPC sets it on every socket; a Unix socket has none, and Netty would warn at each
            // try.
            .withOption(ChannelOption.SO_KEEPALIVE, null)
            .keepAliveTime(silence.toNanos(), TimeUnit.NANOSECONDS)
            .keepAliveTimeout(answer.toNanos(), TimeUnit.NANOSECONDS)
            .maxInboundMessageSize(MAX_MESSAGE)
            .maxInboundMetadataSize(16 << 10)
            .disableRetry()
            .build();
    GrpcGuest guest = new GrpcGuest(channel);
    guest.keepTrying(ConnectivityState.IDLE);
    return guest;
  }

  @Override
  public void close() {
    var _ = loop.shutdownGracefully(0, 2, TimeUnit.SECONDS);
  }

  private final class GrpcGuest implements Guest {
    private final ManagedChannel channel;
    private final Channel relayed;
    private final AtomicInteger tries = new AtomicInteger();
    private final CompletableFuture<Boolean> gone = new CompletableFuture<>();
    private volatile boolean lastConnection;
    private volatile Optional<String> ended = Optional.empty();
    private volatile long connectedSince;

    GrpcGuest(ManagedChannel channel) {
      this.channel = channel;
      this.relayed = ClientInterceptors.intercept(channel, new ReasonedEnds(() -> ended));
    }

    @Override
    public void configure(GuestIdentity identity, Duration patience) {
      configure(request(identity), patience);
    }

    @Override
    public void configureGrown(GuestIdentity identity, Duration patience) {
      configure(request(identity).setGrowDisk(true), patience);
    }

    private static ConfigureRequest.Builder request(GuestIdentity identity) {
      return ConfigureRequest.newBuilder()
          .setEntropy(identity.entropy())
          .setTimeNs(identity.timeNs())
          .setHostname(identity.hostname())
          .setMachineId(identity.machineId())
          .setToken(identity.token())
          .putAllEnv(identity.environment())
          .setCaCertificate(identity.caCertificate())
          .addAllVolumes(identity.volumes());
    }

    private void configure(ConfigureRequest.Builder wanted, Duration patience) {
      ConfigureRequest request = wanted.build();
      repeatedly("the guest was not configured", patience, left -> stub(left).configure(request));
    }

    /**
     * A link may have broken, which was not yet seen to: a repeat is answered the same, and waits
     * for the next connection by itself.
     */
    private static void repeatedly(String failure, Duration patience, Function<Duration, ?> call) {
      long end = System.nanoTime() + patience.toNanos();
      while (true) {
        try {
          var _ = call.apply(Duration.ofNanos(end - System.nanoTime()));
          return;
        } catch (StatusRuntimeException e) {
          if (e.getStatus().getCode() != Status.Code.UNAVAILABLE || System.nanoTime() >= end) {
            throw new GuestException(failure + ": " + e.getStatus().getCode(), e);
          }
          // A guest may break it each time.
          LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(EAGER_MILLIS));
        }
      }
    }

    @Override
    public void rehearse(GuestIdentity identity, List<String> command, Duration patience) {
      configure(request(identity).setRehearsal(true), patience);
      if (command.isEmpty()) {
        return;
      }
      try {
        int exit = Rehearsal.run(channel, command, patience);
        if (exit != 0) {
          throw new GuestException("the rehearsal of " + command + " ended with " + exit);
        }
      } catch (StatusRuntimeException e) {
        throw new GuestException("the guest did not rehearse: " + e.getStatus().getCode(), e);
      }
    }

    @Override
    public void prepareSnapshot(List<String> warmUp, Duration patience) {
      lastConnection = true;
      try {
        var _ = stub(patience).prepareSnapshot(request(warmUp));
      } catch (StatusRuntimeException e) {
        throw new GuestException(
            "the guest was not readied for a snapshot: " + e.getStatus().getCode(), e);
      }
      awaitGone();
    }

    @Override
    public void freeze(String token, Duration patience) {
      lastConnection = true;
      try {
        var _ = as(token, patience).freeze(FreezeRequest.getDefaultInstance());
      } catch (StatusRuntimeException e) {
        throw new GuestException("the guest did not stop: " + e.getStatus().getCode(), e);
      }
      awaitGone();
    }

    @Override
    public void thaw(
        String token, Freshness freshness, Optional<GuestIdentity> identity, Duration patience) {
      ThawRequest.Builder request =
          ThawRequest.newBuilder().setEntropy(freshness.entropy()).setTimeNs(freshness.timeNs());
      identity.ifPresent(copy -> request.setIdentity(request(copy)));
      repeatedly(
          "the guest did not go on", patience, left -> as(token, left).thaw(request.build()));
    }

    @Override
    public Activity activity(String token, Duration patience) {
      try {
        GetActivityResponse found =
            as(token, patience).getActivity(GetActivityRequest.getDefaultInstance());
        return new Activity(
            found.getStreams(), found.getConnections(), Duration.ofMillis(found.getCpuMs()));
      } catch (StatusRuntimeException e) {
        throw new GuestException(
            "the guest did not say what it does: " + e.getStatus().getCode(), e);
      }
    }

    private GuestServiceGrpc.GuestServiceBlockingStub as(String token, Duration patience) {
      Metadata headers = new Metadata();
      headers.put(AUTHORIZATION, "Bearer " + token);
      return stub(patience).withInterceptors(MetadataUtils.newAttachHeadersInterceptor(headers));
    }

    /**
     * A connection that is still being closed in a snapshot is closed in every clone, which does
     * not listen meanwhile.
     */
    private void awaitGone() {
      try {
        var _ = gone.get(GONE_SECONDS, TimeUnit.SECONDS);
      } catch (ExecutionException | TimeoutException e) {
        throw new GuestException(
            "the guest did not close its connection within " + GONE_SECONDS + " s", e);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new GuestException("interrupted", e);
      }
      channel.shutdownNow();
      // The last segments of the connection are on their way through relay and tap, and nothing
      // says when they are there.
      LockSupport.parkNanos(SETTLE_NANOS);
    }

    private static PrepareSnapshotRequest request(List<String> warmUp) {
      return PrepareSnapshotRequest.newBuilder().addAllWarmUp(warmUp).build();
    }

    @Override
    public Channel connected(Duration patience) {
      if (!ready(System.nanoTime() + patience.toNanos())) {
        throw new Refusal(
            ErrorReason.ERROR_REASON_NODE_UNAVAILABLE,
            "the sandbox's agent was not reached within " + patience);
      }
      return relayed;
    }

    private boolean ready(long end) {
      while (true) {
        ConnectivityState state = channel.getState(true);
        if (state == ConnectivityState.READY || state == ConnectivityState.SHUTDOWN) {
          return state == ConnectivityState.READY;
        }
        CountDownLatch changed = new CountDownLatch(1);
        channel.notifyWhenStateChanged(state, changed::countDown);
        try {
          if (!changed.await(end - System.nanoTime(), TimeUnit.NANOSECONDS)) {
            return false;
          }
        } catch (InterruptedException e) {
          Thread.currentThread().interrupt();
          return false;
        }
      }
    }

    @Override
    public void end(String why) {
      ended = Optional.of(why);
      close();
    }

    @Override
    public void close() {
      channel.shutdownNow();
    }

    private GuestServiceGrpc.GuestServiceBlockingStub stub(Duration patience) {
      return GuestServiceGrpc.newBlockingStub(channel)
          .withInterceptors(new SureEnds(loop, GRACE))
          .withWaitForReady()
          .withDeadlineAfter(patience.toNanos(), TimeUnit.NANOSECONDS);
    }

    /**
     * Follows the channel's state for as long as it lives: whatever is not connected is connected
     * again, soon. A guest that takes connections only to end them costs no more than one that
     * takes none.
     */
    private void keepTrying(ConnectivityState seen) {
      if (seen == ConnectivityState.SHUTDOWN) {
        return;
      }
      if (seen == ConnectivityState.READY) {
        if (lastConnection) {
          gone.complete(true);
          return;
        }
        if (System.nanoTime() - connectedSince > LASTING_NANOS) {
          tries.set(0);
        }
      }
      ConnectivityState now = channel.getState(false);
      switch (now) {
        case READY -> connectedSince = System.nanoTime();
        case TRANSIENT_FAILURE -> later(channel::resetConnectBackoff);
        case IDLE -> {
          if (seen == ConnectivityState.IDLE) {
            channel.getState(true);
          } else {
            later(() -> channel.getState(true));
          }
        }
        case CONNECTING, SHUTDOWN -> {}
      }
      channel.notifyWhenStateChanged(now, () -> keepTrying(now));
    }

    private void later(Runnable again) {
      long pause = tries.incrementAndGet() <= EAGER_TRIES ? EAGER_MILLIS : PATIENT_MILLIS;
      var _ = loop.schedule(again, pause, TimeUnit.MILLISECONDS);
    }
  }
}
