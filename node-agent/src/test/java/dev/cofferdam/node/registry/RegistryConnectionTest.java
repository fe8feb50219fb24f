package dev.cofferdam.node.registry;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.internal.v1.ConnectRequest;
import dev.cofferdam.internal.v1.ConnectResponse;
import dev.cofferdam.internal.v1.NodeHeartbeat;
import dev.cofferdam.internal.v1.NodeRegistryServiceGrpc;
import dev.cofferdam.internal.v1.RunningSandbox;
import dev.cofferdam.kit.client.Guard;
import dev.cofferdam.v1.ErrorReason;
import io.grpc.ManagedChannel;
import io.grpc.Server;
import io.grpc.Status;
import io.grpc.inprocess.InProcessChannelBuilder;
import io.grpc.inprocess.InProcessServerBuilder;
import io.grpc.stub.StreamObserver;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
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
  private final BlockingQueue<Boolean> drained = new LinkedBlockingQueue<>();
  private final ScheduledExecutorService scheduler = Executors.newSingleThreadScheduledExecutor();
  private final ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor();
  private final SimpleMeterRegistry meters = new SimpleMeterRegistry();
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
            new Guard("scheduler-svc", ErrorReason.ERROR_REASON_NODE_UNAVAILABLE, meters),
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
    StreamObserver<ConnectResponse> open = stream();
    open.onNext(ConnectResponse.newBuilder().setRemoveSandbox(SANDBOX).build());
    assertThat(removed.poll(60, TimeUnit.SECONDS)).isEqualTo(SANDBOX);
    open.onNext(ConnectResponse.newBuilder().setDraining(true).build());
    open.onNext(ConnectResponse.newBuilder().setDraining(false).build());
    assertThat(drained.poll(20, TimeUnit.SECONDS)).isTrue();
    assertThat(drained.poll(20, TimeUnit.SECONDS)).isFalse();
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

  @Test
  void anOpeningCountsAtTheCircuit() throws InterruptedException {
    connection.start();
    var _ = next();
    stream().onError(Status.UNAVAILABLE.asRuntimeException());
    var _ = next();
    assertThat(openings("failed")).isEqualTo(1);

    // What ends an open stream is no failed call.
    StreamObserver<ConnectResponse> open = stream();
    open.onNext(ConnectResponse.newBuilder().setHeartbeatIntervalMs(60_000).build());
    open.onError(Status.UNAVAILABLE.asRuntimeException());
    var _ = next();
    assertThat(openings("failed")).isEqualTo(1);
  }

  private long openings(String kind) {
    return meters.get("resilience4j.circuitbreaker.calls").tag("kind", kind).timer().count();
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

      @Override
      public void draining(boolean now) {
        drained.add(now);
      }
    };
  }
}
