package dev.cofferdam.cli;

import com.google.protobuf.Duration;
import dev.cofferdam.v1.CreateEgressSessionRequest;
import dev.cofferdam.v1.CreateEgressSessionResponse;
import dev.cofferdam.v1.DeleteEgressSessionRequest;
import dev.cofferdam.v1.EgressProxy;
import dev.cofferdam.v1.EgressSessionServiceGrpc;
import dev.cofferdam.v1.ExtendEgressSessionRequest;
import io.grpc.StatusException;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** A command whose only way out is the explicit proxy of a gateway. */
@Command(
    name = "run",
    mixinStandardHelpOptions = true,
    description = {
      "Runs a command of this machine in a network namespace of its own, with the gateway as its"
          + " only way out, and exits with the command's code.",
      "It confines the network alone: the command has your files. For code that you do not trust,"
          + " use a sandbox."
    })
final class EgressRunCommand implements Callable<Integer> {
  private static final int SIGNALLED = 128;

  /** The session outlives a client that was killed by at most so long. */
  private static final Duration LIFETIME = Duration.newBuilder().setSeconds(300).build();

  private static final int EXTEND_SECONDS = 60;

  /** In the command's own namespace, where all are free. */
  private static final int PORT = 3128;

  private static final Path SYSTEM_ROOTS = Path.of("/etc/ssl/certs/ca-certificates.crt");

  /** What programs of different makes read where to find whom they trust. */
  private static final List<String> ROOTS =
      List.of(
          "SSL_CERT_FILE",
          "NODE_EXTRA_CA_CERTS",
          "REQUESTS_CA_BUNDLE",
          "CURL_CA_BUNDLE",
          "GIT_SSL_CAINFO");

  private final Context context;

  @Mixin private PolicyOptions policy = new PolicyOptions();

  @Option(
      names = "--secret",
      paramLabel = "NAME[=ENV]",
      description = "A secret to use; ENV holds its placeholder. Default: the name in upper case.")
  private List<String> secrets = new ArrayList<>();

  @Parameters(paramLabel = "CMD", arity = "1..*", description = "The command, after --.")
  private List<String> command = new ArrayList<>();

  EgressRunCommand(Context context) {
    this.context = context;
  }

  @Override
  public Integer call() throws StatusException, IOException, InterruptedException {
    boolean terminal = context.terminal().interactive();
    Signals signals = Signals.of(context.terminal(), terminal);
    try (Connections connections = context.connections().get()) {
      EgressSessionServiceGrpc.EgressSessionServiceBlockingV2Stub sessions =
          EgressSessionServiceGrpc.newBlockingV2Stub(connections.audit());
      CreateEgressSessionResponse session =
          sessions
              .withDeadlineAfter(ExecOptions.deadlineSeconds(), TimeUnit.SECONDS)
              .createEgressSession(
                  CreateEgressSessionRequest.newBuilder()
                      .setEgressPolicy(policy.policy())
                      .addAllSecrets(secrets.stream().map(SandboxOptions::secret).toList())
                      .setLifetime(LIFETIME)
                      .build());
      int code;
      try {
        Optional<Integer> early = signals.early();
        code =
            early.isPresent() ? SIGNALLED + early.get() : run(sessions, session, signals, terminal);
      } finally {
        // By itself it would end too, only later.
        var _ =
            Patience.little()
                .call(() ->
                    sessions
                        .withDeadlineAfter(ExecOptions.deadlineSeconds(), TimeUnit.SECONDS)
                        .deleteEgressSession(
                            DeleteEgressSessionRequest.newBuilder()
                                .setSession(session.getSession().getId())
                                .build()));
      }
      return code;
    }
  }

  private int run(
      EgressSessionServiceGrpc.EgressSessionServiceBlockingV2Stub sessions,
      CreateEgressSessionResponse session,
      Signals signals,
      boolean terminal)
      throws IOException, InterruptedException {
    InetSocketAddress proxy = proxy(session.getProxiesList());
    // The default permissions are the owner's alone.
    Path directory = Files.createTempDirectory("cofferdam-egress-");
    Path socket = directory.resolve("proxy");
    Path roots = directory.resolve("roots.pem");
    Path store = directory.resolve("java-cacerts");
    try (ScheduledExecutorService timer =
            Executors.newSingleThreadScheduledExecutor(
                Thread.ofPlatform().daemon().name("extend").factory());
        ServerSocketChannel server =
            ServerSocketChannel.open(StandardProtocolFamily.UNIX)
                .bind(UnixDomainSocketAddress.of(socket))) {
      String system = Files.isReadable(SYSTEM_ROOTS) ? Files.readString(SYSTEM_ROOTS) : "";
      String trusted = system + "\n" + session.getCaCertificate();
      Files.writeString(roots, trusted);
      JavaTrust.write(trusted, store);
      var _ =
          timer.scheduleWithFixedDelay(
              () -> extend(sessions, session), EXTEND_SECONDS, EXTEND_SECONDS, TimeUnit.SECONDS);
      Thread.ofPlatform().daemon().name("relay").start(() -> relay(server, proxy));
      ProcessBuilder builder = new ProcessBuilder(inside(socket, store, terminal)).inheritIO();
      environment(builder.environment(), session, roots);
      Process process = builder.start();
      signals.passTo(process);
      int code = process.waitFor();
      timer.shutdownNow();
      return code;
    } finally {
      Files.deleteIfExists(socket);
      Files.deleteIfExists(roots);
      Files.deleteIfExists(store);
      Files.deleteIfExists(directory);
    }
  }

  private static InetSocketAddress proxy(List<EgressProxy> proxies) {
    String address =
        proxies.stream()
            .filter(proxy -> !proxy.getTls())
            .map(EgressProxy::getAddress)
            .findFirst()
            .orElseThrow(() ->
                new ClientException(
                    "every gateway's proxy is spoken to in TLS, expected one on this machine's"
                        + " loopback"));
    int colon = address.lastIndexOf(':');
    return new InetSocketAddress(
        address.substring(0, colon), Integer.parseInt(address.substring(colon + 1)));
  }

  /**
   * In a user namespace, too: there the command can neither join another network nor, once it has
   * no capability left, change its own.
   */
  private List<String> inside(Path socket, Path store, boolean terminal) {
    List<String> words =
        new ArrayList<>(
            List.of(
                "unshare",
                "--user",
                "--net",
                "--map-current-user",
                "--keep-caps",
                "--",
                "/bin/sh",
                "-c",
                "ip link set lo up && exec setpriv --bounding-set=-all --inh-caps=-all"
                    + " --ambient-caps=-all --no-new-privs -- \"$@\"",
                "sh",
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-XX:+UseSerialGC",
                "-Xmx64m",
                "-cp",
                System.getProperty("java.class.path"),
                EgressInside.class.getName(),
                socket.toString(),
                String.valueOf(PORT),
                String.valueOf(terminal),
                JavaTrust.options(store)));
    words.addAll(command);
    return words;
  }

  private static void environment(
      Map<String, String> environment, CreateEgressSessionResponse session, Path roots) {
    // The client's own tokens among them.
    environment.keySet().removeIf(name -> name.startsWith("COFFERDAM_"));
    String url = "http://cofferdam:%s@127.0.0.1:%d".formatted(session.getProxyToken(), PORT);
    for (String name : List.of("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")) {
      environment.put(name, url);
      environment.put(name.toLowerCase(java.util.Locale.ROOT), url);
    }
    for (String name : List.of("NO_PROXY", "no_proxy")) {
      environment.put(name, "localhost,127.0.0.1,::1");
    }
    ROOTS.forEach(name -> environment.put(name, roots.toString()));
    environment.putAll(session.getPlaceholdersMap());
  }

  private void extend(
      EgressSessionServiceGrpc.EgressSessionServiceBlockingV2Stub sessions,
      CreateEgressSessionResponse session) {
    try {
      var _ =
          sessions
              .withDeadlineAfter(EXTEND_SECONDS, TimeUnit.SECONDS)
              .extendEgressSession(
                  ExtendEgressSessionRequest.newBuilder()
                      .setSession(session.getSession().getId())
                      .setLifetime(LIFETIME)
                      .build());
    } catch (StatusException e) {
      // There are four more attempts before it ends.
      context.err().println("cofferdam: the session is not extended: " + ErrorLine.of(e));
    }
  }

  private static void relay(ServerSocketChannel server, InetSocketAddress proxy) {
    try {
      while (true) {
        SocketChannel accepted = server.accept();
        Thread.ofVirtual().start(() -> lead(accepted, proxy));
      }
    } catch (IOException e) {
      // The command has ended.
    }
  }

  private static void lead(SocketChannel accepted, InetSocketAddress proxy) {
    try {
      SocketPairs.join(accepted, SocketChannel.open(proxy));
    } catch (IOException e) {
      try {
        accepted.close();
      } catch (IOException closing) {
        e.addSuppressed(closing);
      }
    }
  }
}
