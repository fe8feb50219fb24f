package dev.cofferdam.loadtest;

import com.google.protobuf.ByteString;
import dev.cofferdam.v1.CreateSandboxRequest;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.PutSecretRequest;
import dev.cofferdam.v1.Sandbox;
import dev.cofferdam.v1.SecretBinding;
import dev.cofferdam.v1.SecretReference;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.InstantSource;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * HTTPS through the gateway against the same requests without it, in turns, so that whatever else
 * the machine does meets all of them. The client is a process of the host that speaks from the slot
 * of a real sandbox: see {@link SlotDoor} for what that leaves out.
 */
@Command(
    name = "https",
    mixinStandardHelpOptions = true,
    description = "HTTPS through the gateway, against direct. Needs root.")
final class HttpsCommand implements Callable<Integer> {
  private static final String GUEST_ROOT = "/usr/local/share/ca-certificates/cofferdam.crt";
  private static final String DIRECT = "direct";
  private static final String INTERCEPTED = "through the gateway";
  private static final String SUBSTITUTED = "with substitution and audit";
  private static final String MITMPROXY = "mitmproxy";
  private static final String MITMPROXY_SUBSTITUTED = "mitmproxy, substituting";
  private static final String SQUID = "Squid, ssl-bump";

  /** Where the one who started this has put mitmproxy's {@code mitmdump}. */
  private static final String MITMDUMP = "COFFERDAM_MITMDUMP";

  @Option(names = "--host", description = "Default: ${DEFAULT-VALUE}.")
  private String host = "api.echo.test";

  @Option(names = "--direct-address", description = "Of the host. Default: ${DEFAULT-VALUE}.")
  private String directAddress = "203.0.113.10";

  @Option(
      names = "--rates",
      split = ",",
      description = "Requests per second (default: ${DEFAULT-VALUE}).")
  private List<Integer> rates = List.of(200, 500, 1000);

  @Option(names = "--rounds", description = "Turns of each (default: ${DEFAULT-VALUE}).")
  private int rounds = 5;

  @Option(names = "--seconds", description = "Of one turn (default: ${DEFAULT-VALUE}).")
  private int seconds = 3;

  @Option(names = "--connections", description = "Kept alive (default: ${DEFAULT-VALUE}).")
  private int connections = 8;

  @Option(
      names = "--warm-up",
      description = "Turns of each before any counts (default: ${DEFAULT-VALUE}).")
  private int warmUp = 6;

  @Option(
      names = "--only",
      split = ",",
      paramLabel = "NAME",
      description =
          "Of gateway, substituted, mitmproxy, squid, beside direct. Default: all there is.")
  private Set<String> only = Set.of("gateway", "substituted", "mitmproxy", "squid");

  @Option(names = "--json", paramLabel = "FILE", description = "Write the results there too.")
  private @Nullable Path json;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Override
  public Integer call() throws IOException {
    Map<String, String> environment = System.getenv();
    Path state = Path.of(Api.required(environment, "COFFERDAM_STATE"));
    Path upstream = Path.of(Api.required(environment, "COFFERDAM_UPSTREAM_DIR"));
    byte[] random = new byte[16];
    new SecureRandom().nextBytes(random);
    String value = HexFormat.of().formatHex(random);
    String secret = "load-" + HexFormat.of().formatHex(random, 0, 6);
    Path root = Files.createTempFile("cofferdam-root", ".pem");
    Report report =
        new Report(spec.commandLine().getOut(), "https", InstantSource.system().instant());
    try (Api api = Api.open(environment)) {
      api.put(
          PutSecretRequest.newBuilder()
              .setName(secret)
              .setValue(ByteString.copyFromUtf8(value))
              .addBindings(SecretBinding.newBuilder().addHosts(host))
              .build());
      Sandbox sandbox = api.create(request(secret));
      try {
        Files.writeString(root, api.read(sandbox.getId(), GUEST_ROOT));
        measure(report, api, sandbox.getId(), state, upstream.resolve("ca.pem"), root, value);
      } finally {
        api.delete(sandbox.getId());
        api.deleteSecret(secret);
      }
    } finally {
      Files.delete(root);
    }
    report.write(Optional.ofNullable(json));
    return 0;
  }

  private CreateSandboxRequest request(String secret) {
    return CreateSandboxRequest.newBuilder()
        .addSecrets(SecretReference.newBuilder().setSecret(secret).setEnv("API_KEY"))
        .setEgressPolicy(EgressPolicy.newBuilder().addRules(EgressRule.newBuilder().setHost(host)))
        .build();
  }

  private void measure(
      Report report,
      Api api,
      String sandbox,
      Path state,
      Path upstreamRoot,
      Path guestRoot,
      String value)
      throws IOException {
    String placeholder = api.exec(sandbox, "printenv", "API_KEY").output().strip();
    // The synthetic address of the name, as the guest's own resolver gives it.
    String synthetic =
        api.exec(sandbox, "sh", "-c", "getent ahostsv4 " + host + " | head -n 1 | cut -d' ' -f1")
            .output()
            .strip();
    SlotDoor door = SlotDoor.open(state, sandbox);
    List<String> through = options(synthetic, guestRoot);
    String header = "--header=Authorization: Bearer " + placeholder;
    try (Contenders contenders = new Contenders()) {
      contenders.add(DIRECT, List.of(), options(directAddress, upstreamRoot));
      if (only.contains("gateway")) {
        contenders.add(INTERCEPTED, door.prefix(), through);
      }
      if (only.contains("substituted")) {
        contenders.add(SUBSTITUTED, door.prefix(), and(through, header));
      }
      if (only.contains("mitmproxy")) {
        addMitmproxy(report, contenders, upstreamRoot, placeholder, value, header);
      }
      if (only.contains("squid")) {
        addSquid(report, contenders, upstreamRoot);
      }
      report.line(
          "https, 1 KiB answers, %d kept-alive connections, %d turns of %d s each; the client speaks from the sandbox's slot, outside the VM"
              .formatted(connections, rounds, seconds));
      compare(report, contenders);
    }
  }

  private void addMitmproxy(
      Report report,
      Contenders contenders,
      Path upstreamRoot,
      String placeholder,
      String value,
      String header)
      throws IOException {
    Optional<Path> program = Optional.ofNullable(System.getenv(MITMDUMP)).map(Path::of);
    if (program.filter(Files::isExecutable).isEmpty()) {
      report.line(MITMPROXY + ": not measured, it is not installed");
      return;
    }
    Mitmproxy mitmproxy = new Mitmproxy(program.get(), upstreamRoot);
    contenders.add(MITMPROXY, List.of(), by(contenders.own(mitmproxy.plain())));
    ProxyPeer substituting = contenders.own(mitmproxy.substituting(placeholder, value));
    contenders.add(MITMPROXY_SUBSTITUTED, List.of(), and(by(substituting), header));
  }

  private void addSquid(Report report, Contenders contenders, Path upstreamRoot)
      throws IOException {
    Optional<ProxyPeer> squid = Squid.start(upstreamRoot);
    if (squid.isEmpty()) {
      report.line(SQUID + ": not measured, Debian's package squid-openssl is not installed");
      return;
    }
    contenders.add(SQUID, List.of(), by(contenders.own(squid.get())));
  }

  private List<String> options(String address, Path authority) {
    return List.of(
        "--address=" + address,
        "--host=" + host,
        "--path=/bytes/1024",
        "--authority=" + authority,
        "--connections=" + connections);
  }

  private List<String> by(ProxyPeer peer) {
    return and(
        options(directAddress, peer.authority()),
        "--proxy=" + peer.address().getHostString() + ":" + peer.address().getPort());
  }

  private static List<String> and(List<String> options, String more) {
    return Stream.concat(options.stream(), Stream.of(more)).toList();
  }

  private void compare(Report report, Contenders contenders) throws IOException {
    Comparison comparison = new Comparison(report, contenders, DIRECT, rounds, seconds * 1000L);
    comparison.warmUp(warmUp);
    for (int rate : rates) {
      comparison.at(rate);
    }
    Map<String, Double> full = comparison.full();
    ratio(report, full, INTERCEPTED, MITMPROXY);
    ratio(report, full, INTERCEPTED, SQUID);
    ratio(report, full, SUBSTITUTED, MITMPROXY_SUBSTITUTED);
  }

  private static void ratio(Report report, Map<String, Double> full, String ours, String peer) {
    if (full.containsKey(ours) && full.containsKey(peer)) {
      report.number(
          "times_" + Comparison.key(peer),
          ours + ", times " + peer,
          full.get(ours) / full.get(peer),
          "");
    }
  }
}
