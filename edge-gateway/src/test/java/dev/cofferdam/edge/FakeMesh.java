package dev.cofferdam.edge;

import com.google.protobuf.ByteString;
import com.google.protobuf.Timestamp;
import dev.cofferdam.edge.mesh.MeshClient;
import dev.cofferdam.kit.call.ExposedHost;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.v1.CheckPortKeyRequest;
import dev.cofferdam.v1.CloseSshSessionRequest;
import dev.cofferdam.v1.CloseSshSessionResponse;
import dev.cofferdam.v1.CreatePortKeyRequest;
import dev.cofferdam.v1.CreatePortKeyResponse;
import dev.cofferdam.v1.CreateSandboxRequest;
import dev.cofferdam.v1.CreateVolumeRequest;
import dev.cofferdam.v1.DeleteSandboxRequest;
import dev.cofferdam.v1.DeleteSandboxResponse;
import dev.cofferdam.v1.DeleteSecretRequest;
import dev.cofferdam.v1.DeleteSecretResponse;
import dev.cofferdam.v1.DeleteSnapshotRequest;
import dev.cofferdam.v1.DeleteSnapshotResponse;
import dev.cofferdam.v1.DeleteVolumeRequest;
import dev.cofferdam.v1.DeleteVolumeResponse;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.ExtendSandboxRequest;
import dev.cofferdam.v1.GetSandboxRequest;
import dev.cofferdam.v1.GetSnapshotRequest;
import dev.cofferdam.v1.GetVolumeRequest;
import dev.cofferdam.v1.ListSandboxesRequest;
import dev.cofferdam.v1.ListSandboxesResponse;
import dev.cofferdam.v1.ListSecretsRequest;
import dev.cofferdam.v1.ListSecretsResponse;
import dev.cofferdam.v1.ListSnapshotsRequest;
import dev.cofferdam.v1.ListSnapshotsResponse;
import dev.cofferdam.v1.ListVolumesRequest;
import dev.cofferdam.v1.ListVolumesResponse;
import dev.cofferdam.v1.OpenSshSessionRequest;
import dev.cofferdam.v1.OpenSshSessionResponse;
import dev.cofferdam.v1.OutputChunk;
import dev.cofferdam.v1.PortKey;
import dev.cofferdam.v1.PortKeyServiceGrpc;
import dev.cofferdam.v1.ProcessEvent;
import dev.cofferdam.v1.ProcessExited;
import dev.cofferdam.v1.ProcessServiceGrpc;
import dev.cofferdam.v1.ProcessSpec;
import dev.cofferdam.v1.ProcessStarted;
import dev.cofferdam.v1.PutSecretRequest;
import dev.cofferdam.v1.Sandbox;
import dev.cofferdam.v1.SandboxEvent;
import dev.cofferdam.v1.SandboxEventType;
import dev.cofferdam.v1.SandboxServiceGrpc;
import dev.cofferdam.v1.SandboxState;
import dev.cofferdam.v1.Secret;
import dev.cofferdam.v1.SecretServiceGrpc;
import dev.cofferdam.v1.SignalProcessRequest;
import dev.cofferdam.v1.SignalProcessResponse;
import dev.cofferdam.v1.Snapshot;
import dev.cofferdam.v1.SnapshotServiceGrpc;
import dev.cofferdam.v1.SshKeyServiceGrpc;
import dev.cofferdam.v1.StartProcessRequest;
import dev.cofferdam.v1.Volume;
import dev.cofferdam.v1.VolumeServiceGrpc;
import dev.cofferdam.v1.WatchSandboxEventsRequest;
import io.grpc.Context;
import io.grpc.Contexts;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Server;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.netty.NettyServerBuilder;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Scheduler and broker as the edge sees them, over a connection of their own, for two tenants.
 * Processes: {@code cat} says what it is told, {@code flood} says zeroes without end, {@code deaf}
 * reads nothing and says nothing, {@code quick} says four things and exits, {@code false} exits
 * with 1.
 */
final class FakeMesh implements AutoCloseable {
  static final String TOKEN = "cfd_tk-one_x";
  static final String SECRETS_TOKEN = "cfd_tk-two_y";
  static final String STRANGER = "cfd_tk-other_z";

  final Map<String, Sandbox> sandboxes = new ConcurrentHashMap<>();
  final List<CreateSandboxRequest> created = new CopyOnWriteArrayList<>();
  final List<ExtendSandboxRequest> extended = new CopyOnWriteArrayList<>();
  final List<String> deleted = new CopyOnWriteArrayList<>();
  final Map<String, PutSecretRequest> secrets = new ConcurrentHashMap<>();

  /** When a secret was made, in seconds; at the epoch where it is not said. */
  final Map<String, Long> secretTimes = new ConcurrentHashMap<>();

  final List<String> tokens = new CopyOnWriteArrayList<>();
  final List<SignalProcessRequest> signals = new CopyOnWriteArrayList<>();
  final Map<String, Volume> volumes = new ConcurrentSkipListMap<>();
  final Map<String, Snapshot> snapshots = new ConcurrentSkipListMap<>();
  final FakeFiles files = new FakeFiles();
  final FakePorts ports = new FakePorts();

  /** By what is to be shown. */
  final Map<String, PortKey> portKeys = new ConcurrentHashMap<>();

  final List<ProcessSpec> started = new CopyOnWriteArrayList<>();
  final AtomicInteger cancelledProcesses = new AtomicInteger();
  volatile boolean full;

  /** Whether no port can be made public. */
  volatile boolean keptPrivate;

  /** The one key that there is, by which sessions are opened; every signature of it is good. */
  volatile ByteString sshKey = ByteString.EMPTY;

  final List<OpenSshSessionRequest> sshSessions = new CopyOnWriteArrayList<>();
  final AtomicInteger sshClosed = new AtomicInteger();

  private final List<Processes.Program> running = new CopyOnWriteArrayList<>();
  private final Map<String, List<StreamObserver<SandboxEvent>>> watchers =
      new ConcurrentHashMap<>();
  private final AtomicInteger pids = new AtomicInteger(100);
  private final Server server;
  private final ManagedChannel channel;

  FakeMesh() throws IOException {
    server =
        NettyServerBuilder.forAddress(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0))
            .addService(new Sandboxes())
            .addService(new Processes())
            .addService(files)
            .addService(ports)
            .addService(new PortKeys())
            .addService(new SshKeys())
            .addService(new Volumes())
            .addService(new Snapshots())
            .addService(new Secrets())
            .intercept(new Tokens())
            .build()
            .start();
    channel = NettyChannelBuilder.forAddress("127.0.0.1", server.getPort()).usePlaintext().build();
  }

  MeshClient client() {
    return MeshClient.over(channel, channel);
  }

  @Override
  public void close() {
    channel.shutdownNow();
    server.shutdownNow();
  }

  static RuntimeException refusal(ErrorReason reason, String message) {
    return Refusals.toStatus(new Refusal(reason, message));
  }

  /** The second token belongs to the broker alone, a stranger sees no sandbox. */
  private final class Tokens implements ServerInterceptor {
    @Override
    public <Q, A> ServerCall.Listener<Q> interceptCall(
        ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
      String sent =
          Optional.ofNullable(
                  headers.get(Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER)))
              .orElse("");
      String service = Optional.ofNullable(call.getMethodDescriptor().getServiceName()).orElse("");
      tokens.add(service + " " + sent);
      boolean known =
          service.endsWith("SecretService")
              ? sent.equals("Bearer " + SECRETS_TOKEN)
              : sent.equals("Bearer " + TOKEN);
      Optional<PortKey> key =
          service.contains("Port")
              ? Optional.ofNullable(portKeys.get(sent.replaceFirst("^Bearer ", "")))
              : Optional.empty();
      if (key.isPresent()) {
        return Contexts.interceptCall(
            Context.current().withValue(FakePorts.KEY, key.get()), call, headers, next);
      }
      boolean overSsh =
          sent.startsWith("Bearer cfs_")
              && Set.of("ProcessService", "PortService", "SshKeyService")
                  .contains(service.substring(service.lastIndexOf('.') + 1));
      if (known || overSsh || service.endsWith("SshKeyService")) {
        return next.startCall(call, headers);
      }
      ErrorReason reason =
          sent.equals("Bearer " + STRANGER)
              ? ErrorReason.ERROR_REASON_SANDBOX_NOT_FOUND
              : ErrorReason.ERROR_REASON_TOKEN_INVALID;
      var status = Refusals.toStatus(new Refusal(reason, "no"));
      call.close(
          status.getStatus(), Optional.ofNullable(status.getTrailers()).orElseGet(Metadata::new));
      return new ServerCall.Listener<>() {};
    }
  }

  private final class PortKeys extends PortKeyServiceGrpc.PortKeyServiceImplBase {
    /** For everybody, by a host or by the port itself. */
    @Override
    public void createPortKey(
        CreatePortKeyRequest request, StreamObserver<CreatePortKeyResponse> answer) {
      if (keptPrivate) {
        answer.onError(
            refusal(ErrorReason.ERROR_REASON_SCOPE_MISSING, "the token has no scope ports"));
        return;
      }
      PortKey key =
          PortKey.newBuilder()
              .setSandbox(request.getSandbox())
              .setPort(request.getPort())
              .setPublic(request.getPublic())
              .setHost(request.getHost())
              .build();
      String secret =
          request.getHost().isEmpty()
              ? dev.cofferdam.kit.call.PortKeys.ofEverybody(request.getSandbox(), request.getPort())
              : new ExposedHost(request.getHost()).key();
      PortKey there = portKeys.putIfAbsent(secret, key);
      if (there != null && !there.equals(key)) {
        answer.onError(refusal(ErrorReason.ERROR_REASON_HOST_TAKEN, "of another port"));
        return;
      }
      answer.onNext(CreatePortKeyResponse.newBuilder().setKey(key).setSecret(secret).build());
      answer.onCompleted();
    }

    @Override
    public void checkPortKey(CheckPortKeyRequest request, StreamObserver<PortKey> answer) {
      PortKey key = FakePorts.KEY.get();
      boolean whatever =
          key != null
              && !key.getHost().isEmpty()
              && request.equals(CheckPortKeyRequest.getDefaultInstance());
      if (key == null
          || !(whatever || FakePorts.fits(key, request.getSandbox(), request.getPort()))) {
        answer.onError(refusal(ErrorReason.ERROR_REASON_TOKEN_INVALID, "no"));
        return;
      }
      answer.onNext(key);
      answer.onCompleted();
    }
  }

  private final class SshKeys extends SshKeyServiceGrpc.SshKeyServiceImplBase {
    @Override
    public void openSshSession(
        OpenSshSessionRequest request, StreamObserver<OpenSshSessionResponse> answer) {
      sshSessions.add(request);
      if (!request.getPublicKey().equals(sshKey) || !sandboxes.containsKey(request.getSandbox())) {
        answer.onError(refusal(ErrorReason.ERROR_REASON_SSH_REFUSED, "no"));
        return;
      }
      answer.onNext(
          OpenSshSessionResponse.newBuilder().setCredential("cfs_" + sshSessions.size()).build());
      answer.onCompleted();
    }

    @Override
    public void closeSshSession(
        CloseSshSessionRequest request, StreamObserver<CloseSshSessionResponse> answer) {
      sshClosed.incrementAndGet();
      answer.onNext(CloseSshSessionResponse.getDefaultInstance());
      answer.onCompleted();
    }
  }

  private final class Sandboxes extends SandboxServiceGrpc.SandboxServiceImplBase {
    @Override
    public void createSandbox(CreateSandboxRequest request, StreamObserver<Sandbox> answer) {
      created.add(request);
      if (full) {
        answer.onError(refusal(ErrorReason.ERROR_REASON_NO_CAPACITY, "no node has room"));
        return;
      }
      String id = "sb-" + request.getRequestId() + "aaaa";
      Sandbox sandbox =
          Sandbox.newBuilder()
              .setId(id)
              .putAllLabels(request.getLabelsMap())
              .setState(SandboxState.SANDBOX_STATE_RUNNING)
              .setCreateTime(Timestamp.newBuilder().setSeconds(1_700_000_000))
              .build();
      sandboxes.put(id, sandbox);
      answer.onNext(sandbox);
      answer.onCompleted();
    }

    @Override
    public void getSandbox(GetSandboxRequest request, StreamObserver<Sandbox> answer) {
      Sandbox sandbox = sandboxes.get(request.getSandbox());
      if (sandbox == null) {
        answer.onError(refusal(ErrorReason.ERROR_REASON_SANDBOX_NOT_FOUND, "no such sandbox"));
      } else {
        answer.onNext(sandbox);
        answer.onCompleted();
      }
    }

    @Override
    public void extendSandbox(ExtendSandboxRequest request, StreamObserver<Sandbox> answer) {
      extended.add(request);
      answer.onNext(
          Sandbox.newBuilder()
              .setId(request.getSandbox())
              .setExpireTime(
                  Timestamp.newBuilder()
                      .setSeconds(1_700_000_000 + request.getLifetime().getSeconds()))
              .build());
      answer.onCompleted();
    }

    @Override
    public void listSandboxes(
        ListSandboxesRequest request, StreamObserver<ListSandboxesResponse> answer) {
      List<Sandbox> all = new ArrayList<>(sandboxes.values());
      all.sort((a, b) -> a.getId().compareTo(b.getId()));
      all.removeIf(sandbox ->
          !sandbox.getLabelsMap().entrySet().containsAll(request.getLabelFilterMap().entrySet()));
      int from = request.getPageToken().isEmpty() ? 0 : Integer.parseInt(request.getPageToken());
      int to = Math.min(all.size(), from + request.getPageSize());
      answer.onNext(
          ListSandboxesResponse.newBuilder()
              .addAllSandboxes(all.subList(from, to))
              .setNextPageToken(to < all.size() ? Integer.toString(to) : "")
              .build());
      answer.onCompleted();
    }

    @Override
    public void deleteSandbox(
        DeleteSandboxRequest request, StreamObserver<DeleteSandboxResponse> answer) {
      deleted.add(request.getSandbox());
      running.forEach(Processes.Program::breakOff);
      sandboxes.remove(request.getSandbox());
      answer.onNext(DeleteSandboxResponse.getDefaultInstance());
      answer.onCompleted();
      for (StreamObserver<SandboxEvent> watcher :
          watchers.getOrDefault(request.getSandbox(), List.of())) {
        watcher.onNext(
            SandboxEvent.newBuilder()
                .setCursor("1")
                .setType(SandboxEventType.SANDBOX_EVENT_TYPE_ENDED)
                .build());
      }
    }

    @Override
    public void watchSandboxEvents(
        WatchSandboxEventsRequest request, StreamObserver<SandboxEvent> events) {
      List<StreamObserver<SandboxEvent>> of =
          watchers.computeIfAbsent(request.getSandbox(), _ -> new CopyOnWriteArrayList<>());
      of.add(events);
      ((ServerCallStreamObserver<SandboxEvent>) events).setOnCancelHandler(() -> of.remove(events));
    }
  }

  private final class Processes extends ProcessServiceGrpc.ProcessServiceImplBase {
    @Override
    public StreamObserver<StartProcessRequest> startProcess(StreamObserver<ProcessEvent> events) {
      ServerCallStreamObserver<ProcessEvent> out = (ServerCallStreamObserver<ProcessEvent>) events;
      out.setOnCancelHandler(cancelledProcesses::incrementAndGet);
      Program program = new Program(out);
      out.setOnReadyHandler(program::flood);
      running.add(program);
      return program;
    }

    private final class Program implements StreamObserver<StartProcessRequest> {
      private final ServerCallStreamObserver<ProcessEvent> out;
      private String program = "";
      private long said;

      Program(ServerCallStreamObserver<ProcessEvent> out) {
        this.out = out;
      }

      @Override
      public void onNext(StartProcessRequest request) {
        if (request.hasSpec()) {
          program = word(request.getSpec());
          started.add(request.getSpec());
          begin(request);
        } else if (program.equals("inputless") && request.hasCloseStdin()) {
          tellStarted();
          exit(0);
        } else if (program.equals("cat") && request.hasCloseStdin()) {
          exit(0);
        } else if (program.equals("echo") && request.hasCloseStdin()) {
          exit(0);
        } else if (program.equals("cat") || program.equals("echo")) {
          say(request.getStdin());
        }
      }

      /** A shell's command is the program, without its words. */
      private static String word(ProcessSpec spec) {
        return spec.getArgv(0).equals("/bin/sh") && spec.getArgvCount() > 4
            ? spec.getArgv(4).split(" ", 2)[0]
            : spec.getArgv(0);
      }

      private void begin(StartProcessRequest request) {
        if (program.equals("nothing")) {
          running.remove(this);
          out.onError(refusal(ErrorReason.ERROR_REASON_COMMAND_NOT_FOUND, "nothing: not in PATH"));
          return;
        }
        if (program.equals("inputless")) {
          // Nothing is said of it before its input has ended.
          return;
        }
        tellStarted();
        if (request.getSpec().getArgvList().contains("exit-now")) {
          exit(0);
          return;
        }
        switch (program) {
          case "false" -> exit(1);
          case "quick" -> {
            for (String part : List.of("a", "b", "c", "d")) {
              say(ByteString.copyFromUtf8(part));
            }
            exit(0);
          }
          case "flood" -> flood();
          case "curl" -> fetch(URI.create(request.getSpec().getArgvList().getLast()).getPath());
          case "/usr/bin/env" -> {
            say(ByteString.copyFromUtf8("A=1\0B=two\nlines\0" + request.getSpec().getEnvMap()));
            exit(0);
          }
          default -> {
            // It waits for its stdin.
          }
        }
      }

      private void tellStarted() {
        int pid = pids.incrementAndGet();
        out.onNext(
            ProcessEvent.newBuilder()
                .setStarted(ProcessStarted.newBuilder().setPid(pid).setProcess("p" + pid))
                .build());
      }

      /** What curl passes on of the answer that a path stands for. */
      private void fetch(String path) {
        String ok = "HTTP/1.1 200 OK\r\n";
        switch (path) {
          case "/early" ->
              answer(
                  "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok + "A: 1\r\na: 2\r\n\r\nbo",
                  "dy");
          case "/moved" -> answer("HTTP/1.1 302 Found\r\nLocation: /early?a|b\r\n\r\nmoved");
          case "/away" -> answer("HTTP/1.1 307 Away\r\nlocation: http://other.test/early\r\n\r\n");
          case "/port" -> answer("HTTP/1.1 302 Port\r\nLocation: http://a.test:81/early\r\n\r\n");
          case "/loop" -> answer("HTTP/1.1 301 Loop\r\nLocation: /loop\r\n\r\n");
          case "/local" -> answer("HTTP/1.1 301 Local\r\nLocation: file:///etc/passwd\r\n\r\n");
          case "/none" -> answer("HTTP/1.1 204\r\n\r\n");
          case "/garbage" -> answer("nonsense\n\n");
          case "/long" -> answer(ok + "A: " + "a".repeat(300_000));
          case "/fail" -> {
            out.onNext(
                ProcessEvent.newBuilder()
                    .setStderr(
                        OutputChunk.newBuilder()
                            .setData(ByteString.copyFromUtf8("curl: (6) no such host\n")))
                    .build());
            exit(6);
          }
          case "/cut" -> {
            say(ByteString.copyFromUtf8(ok + "\r\npar"));
            exit(18);
          }
          case "/endless" -> {
            say(ByteString.copyFromUtf8(ok + "\r\n"));
            program = "flood";
            flood();
          }
          case "/echo" -> {
            say(ByteString.copyFromUtf8(ok + "\r\n"));
            program = "echo";
          }
          default -> {
            // No answer comes.
          }
        }
      }

      private void answer(String... parts) {
        for (String part : parts) {
          say(ByteString.copyFromUtf8(part));
        }
        exit(0);
      }

      void breakOff() {
        if (!out.isCancelled()) {
          out.onError(io.grpc.Status.UNAVAILABLE.asRuntimeException());
        }
      }

      /** As much as is taken. */
      private void flood() {
        while (program.equals("flood") && out.isReady()) {
          say(ByteString.copyFrom(new byte[32 << 10]));
        }
      }

      private void say(ByteString data) {
        out.onNext(
            ProcessEvent.newBuilder()
                .setStdout(OutputChunk.newBuilder().setOffset(said).setData(data))
                .build());
        said += data.size();
      }

      private void exit(int code) {
        running.remove(this);
        out.onNext(
            ProcessEvent.newBuilder()
                .setExited(ProcessExited.newBuilder().setExitCode(code))
                .build());
        out.onCompleted();
      }

      @Override
      public void onError(Throwable failure) {}

      @Override
      public void onCompleted() {}
    }

    @Override
    public void signalProcess(
        SignalProcessRequest request, StreamObserver<SignalProcessResponse> answer) {
      signals.add(request);
      answer.onNext(SignalProcessResponse.getDefaultInstance());
      answer.onCompleted();
    }
  }

  /** Volumes by name. */
  private final class Volumes extends VolumeServiceGrpc.VolumeServiceImplBase {
    @Override
    public void createVolume(CreateVolumeRequest request, StreamObserver<Volume> answer) {
      Volume source = volumes.get(request.getSource());
      if (!request.getSource().isEmpty() && source == null) {
        answer.onError(refusal(ErrorReason.ERROR_REASON_VOLUME_NOT_FOUND, "there is no source"));
        return;
      }
      Volume made =
          Volume.newBuilder()
              .setName(request.getName())
              .setSizeMib(
                  source == null || request.getSizeMib() > 0
                      ? request.getSizeMib()
                      : source.getSizeMib())
              .setSource(request.getSource())
              .setTemplate(source == null ? request.getTemplate() : source.getTemplate())
              .build();
      if (volumes.putIfAbsent(request.getName(), made) != null) {
        answer.onError(refusal(ErrorReason.ERROR_REASON_VOLUME_EXISTS, "there is one"));
      } else {
        answer.onNext(made);
        answer.onCompleted();
      }
    }

    @Override
    public void getVolume(GetVolumeRequest request, StreamObserver<Volume> answer) {
      Volume found = volumes.get(request.getName());
      if (found == null) {
        answer.onError(refusal(ErrorReason.ERROR_REASON_VOLUME_NOT_FOUND, "there is none"));
      } else {
        answer.onNext(found);
        answer.onCompleted();
      }
    }

    @Override
    public void listVolumes(
        ListVolumesRequest request, StreamObserver<ListVolumesResponse> answer) {
      List<Volume> all = List.copyOf(volumes.values());
      int from = request.getPageToken().isEmpty() ? 0 : Integer.parseInt(request.getPageToken());
      int to = Math.min(all.size(), from + request.getPageSize());
      answer.onNext(
          ListVolumesResponse.newBuilder()
              .addAllVolumes(all.subList(from, to))
              .setNextPageToken(to < all.size() ? Integer.toString(to) : "")
              .build());
      answer.onCompleted();
    }

    @Override
    public void deleteVolume(
        DeleteVolumeRequest request, StreamObserver<DeleteVolumeResponse> answer) {
      if (request.getName().equals("in-use")) {
        answer.onError(refusal(ErrorReason.ERROR_REASON_VOLUME_IN_USE, "a sandbox has it"));
        return;
      }
      volumes.remove(request.getName());
      answer.onNext(DeleteVolumeResponse.getDefaultInstance());
      answer.onCompleted();
    }
  }

  /** Of sandboxes, by id. */
  private final class Snapshots extends SnapshotServiceGrpc.SnapshotServiceImplBase {
    @Override
    public void getSnapshot(GetSnapshotRequest request, StreamObserver<Snapshot> answer) {
      Snapshot found = snapshots.get(request.getSnapshot());
      if (found == null) {
        answer.onError(refusal(ErrorReason.ERROR_REASON_SNAPSHOT_NOT_FOUND, "there is none"));
      } else {
        answer.onNext(found);
        answer.onCompleted();
      }
    }

    @Override
    public void listSnapshots(
        ListSnapshotsRequest request, StreamObserver<ListSnapshotsResponse> answer) {
      answer.onNext(ListSnapshotsResponse.newBuilder().addAllSnapshots(snapshots.values()).build());
      answer.onCompleted();
    }

    @Override
    public void deleteSnapshot(
        DeleteSnapshotRequest request, StreamObserver<DeleteSnapshotResponse> answer) {
      snapshots.remove(request.getSnapshot());
      answer.onNext(DeleteSnapshotResponse.getDefaultInstance());
      answer.onCompleted();
    }
  }

  private final class Secrets extends SecretServiceGrpc.SecretServiceImplBase {
    @Override
    public void putSecret(PutSecretRequest request, StreamObserver<Secret> answer) {
      secrets.put(request.getName(), request);
      answer.onNext(Secret.newBuilder().setName(request.getName()).build());
      answer.onCompleted();
    }

    @Override
    public void listSecrets(
        ListSecretsRequest request, StreamObserver<ListSecretsResponse> answer) {
      ListSecretsResponse.Builder page = ListSecretsResponse.newBuilder();
      secrets
          .keySet()
          .forEach(name ->
              page.addSecrets(
                  Secret.newBuilder()
                      .setName(name)
                      .setCreateTime(
                          Timestamp.newBuilder().setSeconds(secretTimes.getOrDefault(name, 0L)))));
      answer.onNext(page.build());
      answer.onCompleted();
    }

    @Override
    public void deleteSecret(
        DeleteSecretRequest request, StreamObserver<DeleteSecretResponse> answer) {
      secrets.remove(request.getName());
      answer.onNext(DeleteSecretResponse.getDefaultInstance());
      answer.onCompleted();
    }
  }
}
