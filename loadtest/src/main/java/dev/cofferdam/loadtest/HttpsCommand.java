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
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
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
    String secret = "load-" + HexFormat.of().formatHex(random, 0, 6);
    Path root = Files.createTempFile("cofferdam-root", ".pem");
    Report report =
        new Report(spec.commandLine().getOut(), "https", InstantSource.system().instant());
    try (Api api = Api.open(environment)) {
      api.put(
          PutSecretRequest.newBuilder()
              .setName(secret)
              .setValue(ByteString.copyFromUtf8(HexFormat.of().formatHex(random)))
              .addBindings(SecretBinding.newBuilder().addHosts(host))
              .build());
      Sandbox sandbox = api.create(request(secret));
      try {
        Files.writeString(root, api.read(sandbox.getId(), GUEST_ROOT));
        measure(report, api, sandbox.getId(), state, upstream.resolve("ca.pem"), root);
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
      Report report, Api api, String sandbox, Path state, Path upstreamRoot, Path guestRoot)
      throws IOException {
    String placeholder = api.exec(sandbox, "printenv", "API_KEY").output().strip();
    // The synthetic address of the name, as the guest's own resolver gives it.
    String synthetic =
        api.exec(sandbox, "sh", "-c", "getent ahostsv4 " + host + " | head -n 1 | cut -d' ' -f1")
            .output()
            .strip();
    SlotDoor door = SlotDoor.open(state, sandbox);
    List<String> through = options(synthetic, guestRoot);
    List<String> substituted = new ArrayList<>(through);
    substituted.add("--header=Authorization: Bearer " + placeholder);
    try (ClientProcess direct =
            ClientProcess.start(List.of(), options(directAddress, upstreamRoot));
        ClientProcess gateway = ClientProcess.start(door.prefix(), through);
        ClientProcess secret = ClientProcess.start(door.prefix(), substituted)) {
      Map<String, ClientProcess> clients = new LinkedHashMap<>();
      clients.put(DIRECT, direct);
      clients.put(INTERCEPTED, gateway);
      clients.put(SUBSTITUTED, secret);
      report.line(
          "https, 1 KiB answers, %d kept-alive connections, %d turns of %d s each; the client speaks from the sandbox's slot, outside the VM"
              .formatted(connections, rounds, seconds));
      compare(report, clients);
    }
  }

  private List<String> options(String address, Path authority) {
    return List.of(
        "--address=" + address,
        "--host=" + host,
        "--path=/bytes/1024",
        "--authority=" + authority,
        "--connections=" + connections);
  }

  private void compare(Report report, Map<String, ClientProcess> clients) throws IOException {
    long millis = seconds * 1000L;
    // What a JVM has not compiled yet is nobody's steady state.
    for (int warmUp = 0; warmUp < 2; warmUp++) {
      for (ClientProcess client : clients.values()) {
        var _ = client.full(millis);
      }
    }
    for (int rate : rates) {
      Map<String, List<LoadClient.Round>> results =
          turns(clients, client -> client.at(rate, millis));
      report.line("");
      report.line("at %d requests per second".formatted(rate));
      report.line(Percentiles.HEADING);
      Percentiles base = middle(results, DIRECT);
      results.forEach((name, all) -> {
        Percentiles times = middle(results, name);
        report.times("rate_%d_%s".formatted(rate, key(name)), name, times);
        if (!name.equals(DIRECT)) {
          report.line(
              String.format(
                  Locale.ROOT,
                  "%-34s %7s %+9.2f %+9.2f %+9.2f",
                  "  added",
                  "",
                  times.p50() - base.p50(),
                  times.p90() - base.p90(),
                  times.p99() - base.p99()));
        }
      });
    }
    Map<String, List<LoadClient.Round>> results = turns(clients, client -> client.full(millis));
    report.line("");
    report.line("as fast as it goes");
    double base = throughput(results, DIRECT);
    results
        .keySet()
        .forEach(name -> {
          double value = throughput(results, name);
          report.number("full_" + key(name), name, value, "requests/s");
          if (!name.equals(DIRECT)) {
            report.number("ratio_" + key(name), "  times direct", value / base, "");
          }
        });
  }

  private interface Turn {
    LoadClient.Round run(ClientProcess client) throws IOException;
  }

  private Map<String, List<LoadClient.Round>> turns(Map<String, ClientProcess> clients, Turn turn)
      throws IOException {
    Map<String, List<LoadClient.Round>> results = new LinkedHashMap<>();
    for (int round = 0; round < rounds; round++) {
      for (Map.Entry<String, ClientProcess> client : clients.entrySet()) {
        results
            .computeIfAbsent(client.getKey(), name -> new ArrayList<>())
            .add(turn.run(client.getValue()));
      }
    }
    return results;
  }

  /**
   * The turn with the median p50: a turn that the machine disturbed does not speak for the rest.
   */
  private static Percentiles middle(Map<String, List<LoadClient.Round>> results, String name) {
    List<Percentiles> times =
        results.getOrDefault(name, List.of()).stream()
            .map(LoadClient.Round::times)
            .sorted(java.util.Comparator.comparingDouble(Percentiles::p50))
            .toList();
    return times.get(times.size() / 2);
  }

  private static double throughput(Map<String, List<LoadClient.Round>> results, String name) {
    List<Double> values =
        results.getOrDefault(name, List.of()).stream()
            .map(LoadClient.Round::perSecond)
            .sorted()
            .toList();
    return values.get(values.size() / 2);
  }

  private static String key(String name) {
    return name.replace(' ', '_');
  }
}
