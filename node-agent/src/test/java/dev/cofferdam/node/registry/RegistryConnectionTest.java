package dev.cofferdam.node.registry;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.internal.v1.ConnectRequest;
import dev.cofferdam.internal.v1.ConnectResponse;
import dev.cofferdam.internal.v1.NodeHeartbeat;
import dev.cofferdam.internal.v1.NodeRegistryServiceGrpc;
import dev.cofferdam.internal.v1.RunningSandbox;
import io.grpc.ManagedChannel;
import io.grpc.Server;
import io.grpc.Status;
import io.grpc.inprocess.InProcessChannelBuilder;
import io.grpc.inprocess.InProcessServerBuilder;
import io.grpc.stub.StreamObserver;
import java.util.List;
import java.util.Random;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class RegistryConnectionTest {
  private static final String SANDBOX = "sb-aaaaaaaaaaaaaaaaaaaa";

  private final BlockingQueue<ConnectRequest> received = new LinkedBlockingQueue<>();
  private final BlockingQueue<StreamObserver<ConnectResponse>> streams =
      new LinkedBlockingQueue<>();
  private final BlockingQueue<String> removed = new LinkedBlockingQueue<>();
  private final ScheduledExecutorService scheduler = Executors.newSingleThreadScheduledExecutor();
  private final ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor();
  private Server server;
  private ManagedChannel channel;
  private RegistryConnection connection;

  @BeforeEach
  void open() throws Exception {
    String name = InProcessServerBuilder.generateName();
    server =
        InProcessServerBuilder.forName(name)
            .addService(
                new NodeRegistryServiceGrpc.NodeRegistryServiceImplBase() {
                  @Override
                  public StreamObserver<ConnectRequest> connect(
                      StreamObserver<ConnectResponse> answers) {
                    streams.add(answers);
                    return receiver();
                  }
                })
            .build()
            .start();
    channel = InProcessChannelBuilder.forName(name).build();
    connection =
        new RegistryConnection(
            channel,
            new NodeFacts(
                "127.0.0.1:7420", 4, 4096, 65_536, 32, "emulated", "qemu", "100.80.0.0/16"),
            view(),
            scheduler,
            executor,
            new Random(1));
  }

  @AfterEach
  void close() {
    connection.close();
    channel.shutdownNow();
    server.shutdownNow();
    scheduler.shutdownNow();
    executor.shutdownNow();
  }

  @Test
  void theRegistrationComesFirstAndHeartbeatsOnceItIsTaken() throws InterruptedException {
    connection.start();
    ConnectRequest first = next();
    assertThat(first.getRegistration().getTemplatesList()).containsExactly("debian");
    assertThat(first.getRegistration().getSandboxesList())
        .containsExactly(RunningSandbox.newBuilder().setSandbox(SANDBOX).setEpoch(4).build());
    assertThat(first.getRegistration().getSlotPrefix()).isEqualTo("100.80.0.0/16");
    assertThat(connection.connected()).isFalse();

    stream().onNext(ConnectResponse.newBuilder().setHeartbeatIntervalMs(5).build());
    assertThat(next().getHeartbeat().getFreeSlots()).isEqualTo(9);
    assertThat(next().getHeartbeat().getFreeMemoryMib()).isEqualTo(777);
    assertThat(connection.connected()).isTrue();
  }

  @Test
  void instructionsAreObeyed() throws InterruptedException {
    connection.start();
    stream().onNext(ConnectResponse.newBuilder().setRemoveSandbox(SANDBOX).build());
    assertThat(removed.poll(10, TimeUnit.SECONDS)).isEqualTo(SANDBOX);
  }

  @Test
  void aLossIsTold() throws InterruptedException {
    connection.start();
    var _ = next();
    connection.lost(SANDBOX, 4, "gone");
    assertThat(next().getSandboxLost().getEpoch()).isEqualTo(4);
  }

  @Test
  void aStreamThatEndsIsOpenedAgainWithAFreshRegistration() throws InterruptedException {
    connection.start();
    assertThat(next().hasRegistration()).isTrue();
    stream().onError(Status.UNAVAILABLE.asRuntimeException());
    assertThat(next().hasRegistration()).isTrue();
    stream().onCompleted();
    assertThat(next().hasRegistration()).isTrue();
  }

  private ConnectRequest next() throws InterruptedException {
    ConnectRequest request = received.poll(20, TimeUnit.SECONDS);
    assertThat(request).isNotNull();
    return request;
  }

  private StreamObserver<ConnectResponse> stream() throws InterruptedException {
    StreamObserver<ConnectResponse> stream = streams.poll(20, TimeUnit.SECONDS);
    assertThat(stream).isNotNull();
    return stream;
  }

  private StreamObserver<ConnectRequest> receiver() {
    return new StreamObserver<>() {
      @Override
      public void onNext(ConnectRequest request) {
        received.add(request);
      }

      @Override
      public void onError(Throwable thrown) {}

      @Override
      public void onCompleted() {}
    };
  }

  private NodeView view() {
    return new NodeView() {
      @Override
      public List<RunningSandbox> running() {
        return List.of(RunningSandbox.newBuilder().setSandbox(SANDBOX).setEpoch(4).build());
      }

      @Override
      public List<String> templates() {
        return List.of("debian");
      }

      @Override
      public NodeHeartbeat heartbeat() {
        return NodeHeartbeat.newBuilder().setFreeSlots(9).setFreeMemoryMib(777).build();
      }

      @Override
      public void remove(String sandbox) {
        removed.add(sandbox);
      }
    };
  }
}
