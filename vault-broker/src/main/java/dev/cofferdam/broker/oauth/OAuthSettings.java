package dev.cofferdam.broker.oauth;

import dev.cofferdam.kit.config.Settings;
import dev.cofferdam.kit.upstream.HostsFile;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * How token endpoints are reached.
 *
 * @param cacheTtl {@code oauth.cache-ttl}: how long an access token is kept at most, whatever its
 *     endpoint says; 0ms to 24h, default 1h; 0ms keeps none
 * @param patience {@code oauth.wait}: how long a use waits for a token that has to be fetched;
 *     100ms to 1m, default 3s. A gateway waits 5 s for all of its answer
 * @param authorities {@code oauth.ca-file}: absolute path of a PEM bundle trusted beside the
 *     system's own. Default none
 * @param hosts {@code oauth.hosts-file}: absolute path of a hosts(5) file; each line pins names to
 *     an address and exempts just that pair from the rule against private addresses. Default none
 * @param resolvers {@code oauth.resolvers}: comma-separated host:port of DNS servers. Default:
 *     those of the system
 * @param firstMeshPort {@code oauth.mesh-ports}: first-last, ports of the mesh that no endpoint on
 *     an address of this host or on a private one may have. Default 7400-7480
 */
public record OAuthSettings(
    Duration cacheTtl,
    Duration patience,
    Optional<Path> authorities,
    HostsFile hosts,
    List<InetSocketAddress> resolvers,
    int firstMeshPort,
    int lastMeshPort) {
  public OAuthSettings {
    resolvers = List.copyOf(resolvers);
  }

  /** Problems are noted in the settings. */
  public static OAuthSettings read(Settings settings) {
    Duration cacheTtl =
        settings.duration(
            "oauth.cache-ttl", Duration.ofHours(1), Duration.ZERO, Duration.ofHours(24));
    Duration patience =
        settings.duration(
            "oauth.wait", Duration.ofSeconds(3), Duration.ofMillis(100), Duration.ofMinutes(1));
    Optional<Path> authorities = settings.optionalPath("oauth.ca-file");
    HostsFile hosts =
        settings
            .optionalPath("oauth.hosts-file")
            .map(file -> hosts(settings, file))
            .orElseGet(HostsFile::empty);
    List<InetSocketAddress> resolvers =
        settings.list("oauth.resolvers", List.of()).stream()
            .flatMap(text -> resolver(settings, text).stream())
            .toList();
    String ports = settings.text("oauth.mesh-ports", "7400-7480");
    int first = 1;
    int last = 1;
    if (ports.matches("[0-9]{1,5}-[0-9]{1,5}")) {
      first = Integer.parseInt(ports.substring(0, ports.indexOf('-')));
      last = Integer.parseInt(ports.substring(ports.indexOf('-') + 1));
    }
    if (first < 1 || last > 65535 || first > last || !ports.contains("-")) {
      settings.problem(
          "oauth.mesh-ports", "is '" + ports + "', expected first-last within 1-65535");
    }
    return new OAuthSettings(cacheTtl, patience, authorities, hosts, resolvers, first, last);
  }

  private static HostsFile hosts(Settings settings, Path file) {
    try {
      return HostsFile.read(file);
    } catch (UncheckedIOException | IllegalArgumentException e) {
      settings.problem("oauth.hosts-file", "cannot be used: " + e.getMessage());
      return HostsFile.empty();
    }
  }

  private static Optional<InetSocketAddress> resolver(Settings settings, String text) {
    int colon = text.lastIndexOf(':');
    String port = text.substring(colon + 1);
    if (colon < 1 || !port.matches("[1-9][0-9]{0,4}") || Integer.parseInt(port) > 65535) {
      settings.problem("oauth.resolvers", "has '" + text + "', expected host:port");
      return Optional.empty();
    }
    return Optional.of(new InetSocketAddress(text.substring(0, colon), Integer.parseInt(port)));
  }
}
