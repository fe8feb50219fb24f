package dev.cofferdam.gateway;

import dev.cofferdam.kit.config.Settings;
import dev.cofferdam.kit.identity.TlsFiles;
import dev.cofferdam.kit.upstream.Cidr;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * Everything an operator can set.
 *
 * @param controlListen {@code control.listen}: host:port of the mesh listener. Default
 *     127.0.0.1:7430.
 * @param adminListen {@code admin.listen}: host:port for metrics and health, plain HTTP. Default
 *     127.0.0.1:7431.
 * @param tls {@code tls.certificate}, {@code tls.key}, {@code tls.authority}: PEM files of the mesh
 *     identity, required; {@code tls.trust-domain}. Default cofferdam.local.
 * @param brokerAddress {@code broker.address}: host:port of the broker's mesh listener. Default
 *     127.0.0.1:7410.
 * @param stateDirectory {@code state.dir}: absolute path, where the spool lies. Required.
 * @param upstreamAuthorities {@code upstream.ca-file}: absolute path of a PEM bundle trusted beside
 *     the system's own. Default none.
 * @param hostsFile {@code hosts.file}: absolute path of a hosts(5) file; each line pins names to an
 *     address and exempts just that pair from the rule against private addresses. Default none.
 * @param privateRanges {@code egress.private-ranges}: comma-separated CIDRs, addresses that are not
 *     public and may be reached nonetheless by a guest that names them as such under a CIDR rule of
 *     its policy. Default none.
 * @param resolvers {@code resolvers}: comma-separated host:port (port 53 where omitted) of the DNS
 *     servers that the gateway itself asks. Default: those of the system.
 * @param headerBytes {@code limits.header-bytes}: bytes of a head, 1024 to 1048576. Default 65536.
 * @param bodyScanBytes {@code limits.body-scan-bytes}: bytes of a request's body that are looked at
 *     before the first leaves, 0 to 16777216. Default 65536.
 * @param connectionsPerSandbox {@code limits.connections-per-sandbox}: connections of one sandbox
 *     at a time, and as many of the gateway's to upstreams for it, 1 to 65536. Default 512.
 * @param materialisationsPerSandbox {@code limits.materialisations-per-sandbox}: requests of one
 *     sandbox that wait for the broker's values at a time, 1 to 65536; one more is refused. Default
 *     128.
 * @param headerTimeout {@code limits.header-timeout}: from the start of a connection or message to
 *     the end of its head or handshake, 100ms to 10m. Default 15s.
 * @param idleTimeout {@code limits.idle-timeout}: without a request, or with a body that stalls, 1s
 *     to 24h. Default 2m.
 * @param connectTimeout {@code limits.connect-timeout}: to an upstream, resolution and handshake
 *     each, 100ms to 5m. Default 10s.
 * @param answerTimeout {@code limits.answer-timeout}: from the end of a request to the head of its
 *     answer, between two parts of the answer, and for the upstream to take more of a request, 1s
 *     to 24h. Default 10m.
 * @param spoolEvents {@code limits.spool-events}: decisions kept while the broker is away, 16 to
 *     1000000. Default 50000.
 * @param firstMeshPort {@code mesh.ports}: first-last, ports of the mesh that no upstream on a
 *     private address may have. Default 7400-7480.
 * @param upstreamProxy {@code upstream.proxy} and what belongs to it: {@link
 *     UpstreamProxySettings}. Default none.
 * @param explicitProxy {@code proxy.listen} and what belongs to it: {@link ExplicitProxySettings}.
 *     Default none.
 */
public record GatewayConfig(
    InetSocketAddress controlListen,
    InetSocketAddress adminListen,
    TlsFiles tls,
    InetSocketAddress brokerAddress,
    Path stateDirectory,
    Optional<Path> upstreamAuthorities,
    Optional<Path> hostsFile,
    List<Cidr> privateRanges,
    List<String> resolvers,
    int headerBytes,
    int bodyScanBytes,
    int connectionsPerSandbox,
    int materialisationsPerSandbox,
    Duration headerTimeout,
    Duration idleTimeout,
    Duration connectTimeout,
    Duration answerTimeout,
    int spoolEvents,
    int firstMeshPort,
    int lastMeshPort,
    Optional<UpstreamProxySettings> upstreamProxy,
    Optional<ExplicitProxySettings> explicitProxy) {
  public GatewayConfig {
    privateRanges = List.copyOf(privateRanges);
    resolvers = List.copyOf(resolvers);
  }

  /**
   * @throws dev.cofferdam.kit.config.ConfigException naming every problem
   */
  public static GatewayConfig read(Settings settings) {
    InetSocketAddress control = settings.address("control.listen", "127.0.0.1:7430");
    InetSocketAddress admin = settings.address("admin.listen", "127.0.0.1:7431");
    TlsFiles tls = TlsFiles.read(settings);
    InetSocketAddress broker = settings.address("broker.address", "127.0.0.1:7410");
    Path state = settings.requiredPath("state.dir");
    Optional<Path> authorities = settings.optionalPath("upstream.ca-file");
    Optional<Path> hosts = settings.optionalPath("hosts.file");
    List<Cidr> ranges = ranges(settings);
    List<String> resolvers = settings.list("resolvers", List.of());
    int headerBytes = settings.integer("limits.header-bytes", 65536, 1024, 1 << 20);
    int bodyScan = settings.integer("limits.body-scan-bytes", 65536, 0, 16 << 20);
    int connections = settings.integer("limits.connections-per-sandbox", 512, 1, 65536);
    int materialisations = settings.integer("limits.materialisations-per-sandbox", 128, 1, 65536);
    Duration header =
        settings.duration(
            "limits.header-timeout",
            Duration.ofSeconds(15),
            Duration.ofMillis(100),
            Duration.ofMinutes(10));
    Duration idle =
        settings.duration(
            "limits.idle-timeout",
            Duration.ofMinutes(2),
            Duration.ofSeconds(1),
            Duration.ofHours(24));
    Duration connect =
        settings.duration(
            "limits.connect-timeout",
            Duration.ofSeconds(10),
            Duration.ofMillis(100),
            Duration.ofMinutes(5));
    Duration answer =
        settings.duration(
            "limits.answer-timeout",
            Duration.ofMinutes(10),
            Duration.ofSeconds(1),
            Duration.ofHours(24));
    int spool = settings.integer("limits.spool-events", 50_000, 16, 1_000_000);
    String mesh = settings.text("mesh.ports", "7400-7480");
    int[] ports = meshPorts(settings, mesh);
    Optional<UpstreamProxySettings> upstreamProxy = UpstreamProxySettings.read(settings);
    Optional<ExplicitProxySettings> explicitProxy = ExplicitProxySettings.read(settings);
    settings.finish();
    return new GatewayConfig(
        control,
        admin,
        tls,
        broker,
        state,
        authorities,
        hosts,
        ranges,
        resolvers,
        headerBytes,
        bodyScan,
        connections,
        materialisations,
        header,
        idle,
        connect,
        answer,
        spool,
        ports[0],
        ports[1],
        upstreamProxy,
        explicitProxy);
  }

  private static List<Cidr> ranges(Settings settings) {
    try {
      return settings.list("egress.private-ranges", List.of()).stream().map(Cidr::parse).toList();
    } catch (IllegalArgumentException e) {
      settings.problem("egress.private-ranges", "has " + e.getMessage());
      return List.of();
    }
  }

  private static int[] meshPorts(Settings settings, String text) {
    if (text.matches("[0-9]{1,5}-[0-9]{1,5}")) {
      int first = Integer.parseInt(text.substring(0, text.indexOf('-')));
      int last = Integer.parseInt(text.substring(text.indexOf('-') + 1));
      if (first >= 1 && first <= last && last <= 65535) {
        return new int[] {first, last};
      }
    }
    settings.problem("mesh.ports", "is '" + text + "', expected first-last within 1-65535");
    return new int[] {1, 1};
  }
}
