package dev.cofferdam.node.guest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.internal.v1.ConfigureRequest;
import dev.cofferdam.internal.v1.ConfigureResponse;
import dev.cofferdam.internal.v1.GuestServiceGrpc;
import dev.cofferdam.internal.v1.PrepareSnapshotRequest;
import dev.cofferdam.internal.v1.PrepareSnapshotResponse;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.v1.ErrorReason;
import io.grpc.Server;
import io.grpc.Status;
import io.grpc.netty.NettyServerBuilder;
import io.grpc.stub.StreamObserver;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.nio.NioServerDomainSocketChannel;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class UnixGuestConnectorTest {
  private static final Duration PATIENCE = Duration.ofSeconds(20);

  @TempDir Path directory;
  private final EventLoopGroup loop = new MultiThreadIoEventLoopGroup(1, NioIoHandler.newFactory());
  private final UnixGuestConnector connector =
      new UnixGuestConnector(
          ForkJoinPool.commonPool(), Duration.ofSeconds(10), Duration.ofSeconds(1));
  private final BlockingQueue<Object> asked = new LinkedBlockingQueue<>();
  private CompletableFuture<Server> prepared = new CompletableFuture<>();

  @AfterEach
  void close() {
    connector.close();
    var _ = loop.shutdownGracefully(0, 2, TimeUnit.SECONDS);
  }

  @Test
  void aGuestIsConfiguredWithAllThatMakesItUnique() throws Exception {
    Server server = serve();
    try (Guest guest = connector.connect(link())) {
      GuestIdentity identity = identity();
      guest.configure(identity, PATIENCE);
      assertThat(asked.poll(60, TimeUnit.SECONDS))
          .isEqualTo(
              ConfigureRequest.newBuilder()
                  .setEntropy(identity.entropy())
                  .setTimeNs(1_700_000_000_000_000_005L)
                  .setHostname("sb-x")
                  .setMachineId(identity.machineId())
                  .setToken(identity.token())
                  .putEnv("A", "b")
                  .setCaCertificate("PEM")
                  .build());
    } finally {
      server.shutdownNow();
    }
  }

  @Test
  void aGuestThatIsNotThereYetIsWaitedFor() throws Exception {
    try (Guest guest = connector.connect(link())) {
      CompletableFuture<Void> done =
          CompletableFuture.runAsync(() -> guest.configure(identity(), PATIENCE));
      assertThat(done).isNotDone();
      Server server = serve();
      done.get(20, TimeUnit.SECONDS);
      server.shutdownNow();
    }
  }

  @Test
  void theLinkIsMadeAgainAfterItBroke() throws Exception {
    Server first = serve();
    try (Guest guest = connector.connect(link())) {
      guest.configure(identity(), PATIENCE);
      first.shutdownNow().awaitTermination();
      Files.deleteIfExists(link());
      Server second = serve();
      guest.configure(identity(), PATIENCE);
      assertThat(asked).hasSize(2);
      second.shutdownNow();
    }
  }

  @Test
  void aRefusalIsToldWithoutTheGuestsWords() throws Exception {
    Server server = serve();
    try (Guest guest = connector.connect(link())) {
      assertThatThrownBy(() ->
              guest.configure(
                  GuestIdentity.fresh(new Random(1), Instant.EPOCH, "refuse", Map.of(), ""),
                  PATIENCE))
          .isInstanceOf(GuestException.class)
          .hasMessageContaining("PERMISSION_DENIED")
          .hasMessageNotContaining("guest's words");
    } finally {
      server.shutdownNow();
    }
  }

  @Test
  void beforeASnapshotTheGuestsOwnCloseIsAwaitedAndNoConnectionMadeAgain() throws Exception {
    Server server = serve();
    prepared.complete(server);
    try (Guest guest = connector.connect(link())) {
      guest.prepareSnapshot(List.of("true"), PATIENCE);
      assertThat(asked.poll())
          .isEqualTo(PrepareSnapshotRequest.newBuilder().addWarmUp("true").build());
      assertThat(server.awaitTermination(10, TimeUnit.SECONDS)).isTrue();
    }
  }

  @Test
  void aGuestThatIsNotReachedInTimeIsRefused() {
    try (Guest guest = connector.connect(link())) {
      assertThatThrownBy(() -> guest.connected(Duration.ofMillis(50)))
          .isInstanceOfSatisfying(
              Refusal.class,
              refusal ->
                  assertThat(refusal.reason())
                      .isEqualTo(ErrorReason.ERROR_REASON_NODE_UNAVAILABLE));
    }
  }

  @Test
  void aRelayedCallWhoseConnectionBreaksSaysWhy() throws Exception {
    Server server = serve();
    try (Guest guest = connector.connect(link())) {
      CompletableFuture<Throwable> end = hanging(guest);
      server.shutdownNow();
      assertThat(Refusals.reason(end.get(20, TimeUnit.SECONDS)))
          .contains(ErrorReason.ERROR_REASON_NODE_UNAVAILABLE);
    }
  }

  @Test
  void aRelayedCallEndsWithItsSandbox() throws Exception {
    Server server = serve();
    Guest guest = connector.connect(link());
    CompletableFuture<Throwable> end = hanging(guest);
    guest.end("it was removed");
    assertThat(Refusals.reason(end.get(20, TimeUnit.SECONDS)))
        .contains(ErrorReason.ERROR_REASON_SANDBOX_NOT_RUNNING);
    assertThat(end.get()).hasMessageContaining("the sandbox runs no more: it was removed");
    server.shutdownNow();
  }

  /** Takes as long as gRPC lets no keepalive be shorter than. */
  @Test
  void aRelayedCallEndsWhenTheGuestFreezes() throws Exception {
    Server server = serve();
    CompletableFuture<Void> thawed = new CompletableFuture<>();
    try (Guest guest = connector.connect(link())) {
      CompletableFuture<Throwable> end = hanging(guest);
      loop.execute(thawed::join);
      assertThat(Refusals.reason(end.get(90, TimeUnit.SECONDS)))
          .contains(ErrorReason.ERROR_REASON_NODE_UNAVAILABLE);
    } finally {
      thawed.complete(null);
      server.shutdownNow();
    }
  }

  /** A relayed call that the guest has taken and does not answer; completes with its end. */
  private CompletableFuture<Throwable> hanging(Guest guest) throws InterruptedException {
    CompletableFuture<Throwable> end = new CompletableFuture<>();
    GuestServiceGrpc.newStub(guest.connected(PATIENCE))
        .configure(
            ConfigureRequest.newBuilder().setHostname("hang").build(),
            new StreamObserver<>() {
              @Override
              public void onNext(ConfigureResponse response) {}

              @Override
              public void onError(Throwable thrown) {
                end.complete(thrown);
              }

              @Override
              public void onCompleted() {
                end.complete(new AssertionError("it was answered"));
              }
            });
    assertThat(asked.poll(20, TimeUnit.SECONDS)).isNotNull();
    return end;
  }

  private Path link() {
    return directory.resolve("1.sock");
  }

  private static GuestIdentity identity() {
    return GuestIdentity.fresh(
        new Random(7), Instant.ofEpochSecond(1_700_000_000L, 5), "sb-x", Map.of("A", "b"), "PEM");
  }

  private Server serve() throws IOException {
    return NettyServerBuilder.forAddress(UnixDomainSocketAddress.of(link()))
        .channelType(NioServerDomainSocketChannel.class)
        .bossEventLoopGroup(loop)
        .workerEventLoopGroup(loop)
        .addService(
            new GuestServiceGrpc.GuestServiceImplBase() {
              @Override
              public void configure(
                  ConfigureRequest request, StreamObserver<ConfigureResponse> response) {
                asked.add(request);
                if (request.getHostname().equals("hang")) {
                  return;
                }
                if (request.getHostname().equals("refuse")) {
                  response.onError(
                      Status.PERMISSION_DENIED
                          .withDescription("the guest's words")
                          .asRuntimeException());
                  return;
                }
                response.onNext(ConfigureResponse.getDefaultInstance());
                response.onCompleted();
              }

              @Override
              public void prepareSnapshot(
                  PrepareSnapshotRequest request,
                  StreamObserver<PrepareSnapshotResponse> response) {
                asked.add(request);
                response.onNext(PrepareSnapshotResponse.getDefaultInstance());
                response.onCompleted();
                prepared.join().shutdown();
              }
            })
        .build()
        .start();
  }
}
