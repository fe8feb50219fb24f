package dev.cofferdam.node.real;

import dev.cofferdam.internal.v1.AttachSlotRequest;
import dev.cofferdam.internal.v1.AttachSlotResponse;
import dev.cofferdam.internal.v1.ConnectRequest;
import dev.cofferdam.internal.v1.ConnectResponse;
import dev.cofferdam.internal.v1.DetachSlotRequest;
import dev.cofferdam.internal.v1.DetachSlotResponse;
import dev.cofferdam.internal.v1.DropReportServiceGrpc;
import dev.cofferdam.internal.v1.GatewayServiceGrpc;
import dev.cofferdam.internal.v1.NodeRegistryServiceGrpc;
import dev.cofferdam.internal.v1.NodeServiceGrpc;
import dev.cofferdam.internal.v1.RemoveSandboxRequest;
import dev.cofferdam.internal.v1.ReportDropsRequest;
import dev.cofferdam.internal.v1.ReportDropsResponse;
import dev.cofferdam.internal.v1.StartSandboxRequest;
import dev.cofferdam.internal.v1.StartSandboxResponse;
import dev.cofferdam.kit.client.MeshChannels;
import dev.cofferdam.kit.identity.MeshTls;
import dev.cofferdam.kit.identity.TlsFiles;
import dev.cofferdam.testkit.TestCertificates;
import dev.cofferdam.v1.ProcessEvent;
import dev.cofferdam.v1.ProcessServiceGrpc;
import dev.cofferdam.v1.ProcessSpec;
import dev.cofferdam.v1.SandboxSize;
import dev.cofferdam.v1.StartProcessRequest;
import io.grpc.BindableService;
import io.grpc.ManagedChannel;
import io.grpc.Server;
import io.grpc.netty.NettyServerBuilder;
import io.grpc.stub.StreamObserver;
import io.netty.handler.ssl.ClientAuth;
import java.io.PrintStream;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * Stands in for scheduler, broker and gateway around one real node agent, and orders what its
 * standard input says: {@code start ID EPOCH VCPUS MEMORY DISK}, {@code exec ID COMMAND}, {@code rm
 * ID EPOCH}, {@code wait} (for a registration), {@code quit}.
 *
 * <p>{@code NodeDriver certificates DIR} makes the mesh's certificates; {@code NodeDriver drive DIR
 * PORT} expects the node's mesh listener at PORT and serves scheduler, broker and gateway at the
 * next three.
 */
public final class NodeDriver implements AutoCloseable {
  private static final PrintStream out = System.out;

  private final BlockingQueue<String> registrations = new LinkedBlockingQueue<>();
  private final List<Server> servers;
  private final ManagedChannel node;

  private NodeDriver(Path directory, int port) throws Exception {
    servers =
        List.of(
            serve(directory, "scheduler-svc", port + 1, new Registry()),
            serve(directory, "vault-broker", port + 2, new Drops()),
            serve(directory, "egress-gateway", port + 3, new Gateway()));
    node =
        new MeshChannels(tls(directory, "scheduler-svc"))
            .to(InetSocketAddress.createUnresolved("127.0.0.1", port), "node-agent");
  }

  /** See the class. */
  public static void main(String[] arguments) throws Exception {
    Path directory = Path.of(arguments[1]);
    if (arguments[0].equals("certificates")) {
      TestCertificates certificates = TestCertificates.in(directory);
      for (String service :
          List.of("node-agent", "scheduler-svc", "vault-broker", "egress-gateway")) {
        out.println(service + " " + certificates.peer(service, "n1"));
      }
      return;
    }
    try (NodeDriver driver = new NodeDriver(directory, Integer.parseInt(arguments[2]))) {
      for (String line = read(); line != null && !line.equals("quit"); line = read()) {
        try {
          driver.obey(line.split(" ", 3));
        } catch (io.grpc.StatusRuntimeException e) {
          out.println("refused: " + e.getStatus());
        }
      }
    }
  }

  @Override
  public void close() {
    node.shutdownNow();
    servers.forEach(Server::shutdownNow);
  }

  private void obey(String[] words) throws Exception {
    long from = System.nanoTime();
    switch (words[0]) {
      case "wait" -> out.println("registered: " + registrations.poll(180, TimeUnit.SECONDS));
      case "start" -> out.println(start(words[1], words[2].split(" ", -1)));
      case "exec" -> out.println(exec(words[1], words[2]));
      case "rm" -> {
        var _ =
            NodeServiceGrpc.newBlockingStub(node)
                .withDeadlineAfter(30, TimeUnit.SECONDS)
                .removeSandbox(
                    RemoveSandboxRequest.newBuilder()
                        .setSandbox(words[1])
                        .setEpoch(Long.parseLong(words[2]))
                        .build());
        out.println("removed");
      }
      default -> out.println("unknown: " + words[0]);
    }
    out.printf("  %s: %.1f ms%n", words[0], (System.nanoTime() - from) / 1e6);
  }

  private Map<String, Double> start(String sandbox, String[] numbers) {
    StartSandboxResponse response =
        NodeServiceGrpc.newBlockingStub(node)
            .withDeadlineAfter(120, TimeUnit.SECONDS)
            .startSandbox(
                StartSandboxRequest.newBuilder()
                    .setSandbox(sandbox)
                    .setEpoch(Long.parseLong(numbers[0]))
                    .setTemplate("debian")
                    .setSize(
                        SandboxSize.newBuilder()
                            .setVcpus(Integer.parseInt(numbers[1]))
                            .setMemoryMib(Integer.parseInt(numbers[2]))
                            .setDiskMib(Integer.parseInt(numbers[3])))
                    .putEnv("API_KEY", "cfd_placeholder")
                    .setAttachTicket("ticket")
                    .build());
    return new TreeMap<>(response.getStepsMsMap());
  }

  private String exec(String sandbox, String command) throws Exception {
    StringBuilder text = new StringBuilder();
    CompletableFuture<String> end = new CompletableFuture<>();
    StreamObserver<StartProcessRequest> requests =
        ProcessServiceGrpc.newStub(node)
            .startProcess(
                new StreamObserver<>() {
                  @Override
                  public void onNext(ProcessEvent event) {
                    text.append(event.getStdout().getData().toStringUtf8());
                    text.append(event.getStderr().getData().toStringUtf8());
                    if (event.hasExited()) {
                      text.append("exit ").append(event.getExited().getExitCode());
                    }
                  }

                  @Override
                  public void onError(Throwable thrown) {
                    end.complete(text + " " + thrown);
                  }

                  @Override
                  public void onCompleted() {
                    end.complete(text.toString());
                  }
                });
    requests.onNext(
        StartProcessRequest.newBuilder()
            .setSandbox(sandbox)
            .setSpec(ProcessSpec.newBuilder().addArgv("/bin/sh").addArgv("-c").addArgv(command))
            .build());
    requests.onCompleted();
    return end.get(60, TimeUnit.SECONDS);
  }

  private static String read() throws java.io.IOException {
    StringBuilder line = new StringBuilder();
    int c;
    while ((c = System.in.read()) >= 0 && c != '\n') {
      line.append((char) c);
    }
    return c < 0 && line.isEmpty() ? "quit" : line.toString();
  }

  private static MeshTls tls(Path directory, String service) {
    return MeshTls.open(
        new TlsFiles(
            directory.resolve(service + "-n1.pem"),
            directory.resolve(service + "-n1.key"),
            directory.resolve("authority.pem"),
            TestCertificates.TRUST_DOMAIN));
  }

  private static Server serve(Path directory, String service, int port, BindableService api)
      throws Exception {
    return NettyServerBuilder.forAddress(new InetSocketAddress("127.0.0.1", port))
        .sslContext(tls(directory, service).server(ClientAuth.REQUIRE))
        .permitKeepAliveTime(5, TimeUnit.SECONDS)
        .permitKeepAliveWithoutCalls(true)
        .addService(api)
        .build()
        .start();
  }

  private final class Registry extends NodeRegistryServiceGrpc.NodeRegistryServiceImplBase {
    @Override
    public StreamObserver<ConnectRequest> connect(StreamObserver<ConnectResponse> answers) {
      return new StreamObserver<>() {
        @Override
        public void onNext(ConnectRequest request) {
          if (request.hasRegistration()) {
            registrations.add(request.getRegistration().toString().replace('\n', ' '));
            answers.onNext(ConnectResponse.newBuilder().setHeartbeatIntervalMs(1000).build());
          } else if (request.hasSandboxLost()) {
            out.println("lost: " + request.getSandboxLost().getSandbox());
          }
        }

        @Override
        public void onError(Throwable thrown) {
          out.println("node disconnected");
        }

        @Override
        public void onCompleted() {
          answers.onCompleted();
        }
      };
    }
  }

  private static final class Gateway extends GatewayServiceGrpc.GatewayServiceImplBase {
    @Override
    public void attachSlot(AttachSlotRequest request, StreamObserver<AttachSlotResponse> response) {
      response.onNext(AttachSlotResponse.newBuilder().setPolicyRevision(1).build());
      response.onCompleted();
    }

    @Override
    public void detachSlot(DetachSlotRequest request, StreamObserver<DetachSlotResponse> response) {
      response.onNext(DetachSlotResponse.getDefaultInstance());
      response.onCompleted();
    }
  }

  private static final class Drops extends DropReportServiceGrpc.DropReportServiceImplBase {
    @Override
    public void reportDrops(
        ReportDropsRequest request, StreamObserver<ReportDropsResponse> response) {
      request
          .getDropsList()
          .forEach(drop ->
              out.printf(
                  "drop: %s %s %s:%d x%d%n",
                  drop.getSandbox(),
                  drop.getProtocol(),
                  drop.getDestination(),
                  drop.getPort(),
                  drop.getCount()));
      response.onNext(ReportDropsResponse.getDefaultInstance());
      response.onCompleted();
    }
  }
}
