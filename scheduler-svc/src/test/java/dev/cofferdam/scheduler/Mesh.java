package dev.cofferdam.scheduler;

import com.google.protobuf.ByteString;
import dev.cofferdam.internal.v1.ConnectRequest;
import dev.cofferdam.internal.v1.ConnectResponse;
import dev.cofferdam.internal.v1.NodeRegistration;
import dev.cofferdam.internal.v1.NodeRegistryServiceGrpc;
import dev.cofferdam.internal.v1.RunningSandbox;
import dev.cofferdam.kit.call.CallRules;
import dev.cofferdam.kit.call.Callers;
import dev.cofferdam.kit.call.TokenHashes;
import dev.cofferdam.kit.client.MeshChannels;
import dev.cofferdam.kit.config.Settings;
import dev.cofferdam.kit.identity.MeshTls;
import dev.cofferdam.kit.identity.TlsFiles;
import dev.cofferdam.kit.server.RpcServer;
import dev.cofferdam.testkit.SettableClock;
import dev.cofferdam.testkit.TestCertificates;
import dev.cofferdam.testkit.TestPostgres;
import dev.cofferdam.v1.FileServiceGrpc;
import dev.cofferdam.v1.ProcessServiceGrpc;
import dev.cofferdam.v1.RegisterTokenRequest;
import dev.cofferdam.v1.SandboxServiceGrpc;
import dev.cofferdam.v1.SnapshotServiceGrpc;
import dev.cofferdam.v1.TemplateServiceGrpc;
import dev.cofferdam.v1.TokenServiceGrpc;
import dev.cofferdam.v1.VolumeServiceGrpc;
import io.grpc.BindableService;
import io.grpc.ClientInterceptor;
import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import io.grpc.TlsChannelCredentials;
import io.grpc.stub.MetadataUtils;
import io.grpc.stub.StreamObserver;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.netty.handler.ssl.ClientAuth;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * A scheduler on a database of its own, with a fake broker and a fake node behind real TLS
 * listeners, and the clients of tenants and operators. Everything that a test opens is closed with
 * it.
 */
final class Mesh implements AutoCloseable {
  static final String ALL_SCOPES = "sandboxes:read,sandboxes:write,exec,files,ports,secrets:use";

  /** How long a test waits for what has to happen. */
  static final long PATIENCE_S = 30;

  final FakeBroker broker = new FakeBroker();
  final FakeNode node = new FakeNode();
  final SettableClock clock = SettableClock.fixed();
  final TestPostgres.Database database;
  final int brokerPort;
  final int nodePort;

  private final RpcServer nodeServer;
  private final Path directory;
  private final TestCertificates certificates;
  private final Map<String, String> extra;
  private final Deque<AutoCloseable> servers = new ArrayDeque<>();

  /** Closed before the scheduler, which would else wait for their streams. */
  private final Deque<AutoCloseable> clients = new ArrayDeque<>();

  private final AtomicInteger tokens = new AtomicInteger();
  private @Nullable SchedulerApp app;

  Mesh(Path directory, TestPostgres postgres) throws Exception {
    this(directory, postgres, Map.of());
  }

  /**
   * @param extra settings on top of what a mesh needs
   */
  Mesh(Path directory, TestPostgres postgres, Map<String, String> extra) throws Exception {
    this.directory = directory;
    this.extra = extra;
    this.certificates = TestCertificates.in(directory);
    this.database = postgres.createDatabase();
    this.brokerPort = serve("vault-broker", FakeBroker.rules(), broker).port();
    this.nodeServer =
        serve(
            "node-agent",
            FakeNode.rules(),
            node,
            node.new EchoProcesses(),
            node.new ZeroFiles(),
            node.new EchoPorts());
    this.nodePort = nodeServer.port();
  }

  /** Its listener; its stream to the scheduler stays. */
  void stopNode() {
    nodeServer.close();
  }

  private RpcServer serve(String service, CallRules rules, BindableService... services)
      throws IOException {
    RpcServer.Builder builder =
        RpcServer.builder(service, new InetSocketAddress("127.0.0.1", 0))
            .tls(identity(service, "n1").server(ClientAuth.REQUIRE), TestCertificates.TRUST_DOMAIN)
            .meters(new SimpleMeterRegistry())
            .rules(rules);
    for (BindableService each : services) {
      builder.service(each);
    }
    return keep(builder.start());
  }

  /** The first, or one after {@link #stop}. */
  SchedulerApp start() throws Exception {
    SchedulerApp started =
        SchedulerApp.start(
            SchedulerConfig.read(Settings.of("scheduler-svc", "test", settings(), Map.of())),
            clock);
    app = started;
    return started;
  }

  void stop() {
    if (app != null) {
      app.close();
      app = null;
    }
  }

  int port() {
    if (app == null) {
      throw new IllegalStateException("not started");
    }
    return app.port();
  }

  Map<String, String> settings() throws IOException {
    var files = certificates.peer("scheduler-svc", "s1");
    Path password = directory.resolve("database-password");
    Files.writeString(password, database.password() + "\n");
    Map<String, String> settings =
        new TreeMap<>(
            Map.of(
                "listen", "127.0.0.1:0",
                "admin.listen", "127.0.0.1:0",
                "tls.certificate", files.certificate().toString(),
                "tls.key", files.key().toString(),
                "tls.authority", files.authority().toString(),
                "database.url", database.url(),
                "database.user", database.user(),
                "database.password-file", password.toString(),
                "broker.address", "127.0.0.1:" + brokerPort));
    settings.putAll(extra);
    return settings;
  }

  /** Registers a token of the tenant and returns it. */
  String token(String tenant, String scopes) {
    return token(port(), tenant, scopes);
  }

  String token(int port, String tenant, String scopes) {
    int number = tokens.incrementAndGet();
    String token = "token-of-" + tenant + "-" + number;
    var _ =
        operator(port)
            .registerToken(
                RegisterTokenRequest.newBuilder()
                    .setId(
                        "tk-aaaaaaaaaaaaaa"
                            + (char) ('a' + number / 26)
                            + (char) ('a' + number % 26))
                    .setTenant(tenant)
                    .addAllScopes(List.of(scopes.split(",")))
                    .setSha256(ByteString.copyFrom(TokenHashes.sha256(token)))
                    .build());
    return token;
  }

  TokenServiceGrpc.TokenServiceBlockingStub operator(int port) {
    return TokenServiceGrpc.newBlockingStub(peer("operator", "alice", port))
        .withDeadlineAfter(PATIENCE_S, TimeUnit.SECONDS);
  }

  SandboxServiceGrpc.SandboxServiceBlockingStub sandboxes(String token) {
    return SandboxServiceGrpc.newBlockingStub(tenant(token))
        .withDeadlineAfter(PATIENCE_S, TimeUnit.SECONDS);
  }

  SnapshotServiceGrpc.SnapshotServiceBlockingStub snapshots(String token) {
    return SnapshotServiceGrpc.newBlockingStub(tenant(token))
        .withDeadlineAfter(PATIENCE_S, TimeUnit.SECONDS);
  }

  TemplateServiceGrpc.TemplateServiceBlockingStub templates(String token) {
    return TemplateServiceGrpc.newBlockingStub(tenant(token))
        .withDeadlineAfter(PATIENCE_S, TimeUnit.SECONDS);
  }

  VolumeServiceGrpc.VolumeServiceBlockingStub volumes(String token) {
    return VolumeServiceGrpc.newBlockingStub(tenant(token))
        .withDeadlineAfter(PATIENCE_S, TimeUnit.SECONDS);
  }

  SandboxServiceGrpc.SandboxServiceBlockingStub sandboxes(int port, String token) {
    return SandboxServiceGrpc.newBlockingStub(tenant(port, token))
        .withDeadlineAfter(PATIENCE_S, TimeUnit.SECONDS);
  }

  ProcessServiceGrpc.ProcessServiceStub processes(String token) {
    return ProcessServiceGrpc.newStub(tenant(token))
        .withDeadlineAfter(PATIENCE_S, TimeUnit.SECONDS);
  }

  FileServiceGrpc.FileServiceStub files(String token) {
    return FileServiceGrpc.newStub(tenant(token)).withDeadlineAfter(PATIENCE_S, TimeUnit.SECONDS);
  }

  /** A channel without a client certificate, as a tenant has one. */
  io.grpc.Channel tenant(String token) {
    return tenant(port(), token);
  }

  private io.grpc.Channel tenant(int port, String token) {
    ManagedChannel channel;
    try {
      channel =
          Grpc.newChannelBuilder(
                  "127.0.0.1:" + port,
                  TlsChannelCredentials.newBuilder()
                      .trustManager(certificates.authorityFile().toFile())
                      .build())
              .overrideAuthority("localhost")
              .build();
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
    clients.push(channel::shutdownNow);
    ClientInterceptor bearer = MetadataUtils.newAttachHeadersInterceptor(Callers.bearer(token));
    return token.isEmpty() ? channel : io.grpc.ClientInterceptors.intercept(channel, bearer);
  }

  ManagedChannel peer(String service, String instance, int port) {
    ManagedChannel channel =
        new MeshChannels(identity(service, instance))
            .to(InetSocketAddress.createUnresolved("127.0.0.1", port), "scheduler-svc");
    clients.push(channel::shutdownNow);
    return channel;
  }

  /** Connects the fake node and returns once the scheduler has taken it. */
  NodeClient connect() throws InterruptedException {
    return connect(port(), registration().build());
  }

  NodeClient connect(int port, NodeRegistration registration) throws InterruptedException {
    NodeClient client = open(port, registration);
    client.next();
    return client;
  }

  /** Another node, which the fake one plays as well. */
  void connectAs(String instance) throws InterruptedException {
    NodeClient client =
        new NodeClient(peer("node-agent", instance, port()), registration().build());
    clients.push(client::leave);
    client.next();
  }

  NodeClient open(int port, NodeRegistration registration) {
    NodeClient client = new NodeClient(peer("node-agent", "n1", port), registration);
    clients.push(client::leave);
    return client;
  }

  /** What the fake node says of itself. */
  NodeRegistration.Builder registration() {
    NodeRegistration.Builder registration =
        NodeRegistration.newBuilder()
            .setAddress("127.0.0.1:" + nodePort)
            .setVcpus(2)
            .setMemoryMib(8192)
            .setDiskMib(65536)
            .setSlots(20)
            .addTemplates("debian")
            .setIsolation("emulated")
            .setHypervisor("qemu")
            .setSlotPrefix("100.80.0.0/16");
    node.running.forEach((id, epoch) ->
        registration.addSandboxes(
            RunningSandbox.newBuilder()
                .setSandbox(id)
                .setEpoch(epoch)
                .setState(node.state(id))
                .setChange(node.changes.get())));
    return registration;
  }

  private MeshTls identity(String service, String instance) {
    var files = certificates.peer(service, instance);
    return keep(
        MeshTls.open(
            new TlsFiles(
                files.certificate(),
                files.key(),
                files.authority(),
                TestCertificates.TRUST_DOMAIN)));
  }

  private <T extends AutoCloseable> T keep(T resource) {
    servers.push(resource);
    return resource;
  }

  @Override
  public void close() {
    closeAll(clients);
    stop();
    closeAll(servers);
  }

  private static void closeAll(Deque<AutoCloseable> open) {
    while (!open.isEmpty()) {
      try {
        open.pop().close();
      } catch (Exception e) {
        throw new IllegalStateException(e);
      }
    }
  }

  /** The node's side of its stream. */
  static final class NodeClient {
    private final BlockingQueue<Object> answers = new LinkedBlockingQueue<>();
    private final BlockingQueue<Boolean> drained = new LinkedBlockingQueue<>();
    final StreamObserver<ConnectRequest> requests;

    NodeClient(ManagedChannel channel, NodeRegistration registration) {
      requests =
          NodeRegistryServiceGrpc.newStub(channel)
              .connect(
                  new StreamObserver<>() {
                    @Override
                    public void onNext(ConnectResponse response) {
                      if (response.hasDraining()) {
                        drained.add(response.getDraining());
                      } else {
                        answers.add(response);
                      }
                    }

                    @Override
                    public void onError(Throwable thrown) {
                      answers.add(thrown);
                    }

                    @Override
                    public void onCompleted() {
                      answers.add("completed");
                    }
                  });
      requests.onNext(ConnectRequest.newBuilder().setRegistration(registration).build());
    }

    /** Whether it is drained, as it is told next. */
    boolean drained() throws InterruptedException {
      Boolean told = drained.poll(PATIENCE_S, TimeUnit.SECONDS);
      if (told == null) {
        throw new AssertionError("was not told whether it is drained");
      }
      return told;
    }

    /** The next other instruction; fails the test on anything else. */
    ConnectResponse next() throws InterruptedException {
      Object answer = answers.poll(PATIENCE_S, TimeUnit.SECONDS);
      if (answer instanceof ConnectResponse response) {
        return response;
      }
      throw new AssertionError("expected an instruction, got " + answer);
    }

    /** The status that the stream ends with. */
    Throwable end() throws InterruptedException {
      for (Object answer = answers.poll(PATIENCE_S, TimeUnit.SECONDS);
          answer != null;
          answer = answers.poll(PATIENCE_S, TimeUnit.SECONDS)) {
        if (answer instanceof Throwable thrown) {
          return thrown;
        }
      }
      throw new AssertionError("the stream did not end");
    }

    void leave() {
      try {
        requests.onCompleted();
      } catch (IllegalStateException e) {
        // It has ended already.
      }
    }
  }
}
