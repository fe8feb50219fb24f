package dev.cofferdam.gateway;

import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.gateway.policy.HostPattern;
import dev.cofferdam.gateway.proxy.UpstreamProxy;
import dev.cofferdam.kit.config.Settings;
import dev.cofferdam.kit.upstream.Cidr;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The proxy that an operator has upstreams reached through.
 *
 * @param tls by {@code upstream.proxy}: {@code http://host:port} or {@code https://host:port}
 * @param credentials {@code upstream.proxy-credentials-file}: absolute path of a file that holds
 *     {@code user:password}, visible ASCII and blanks, at most 1024 bytes, sent as Basic
 *     credentials. Default none.
 * @param byName {@code upstream.proxy-target}: {@code address}, as the gateway resolved and
 *     permitted it, or {@code name}, for the proxy to resolve. Default address.
 * @param directHosts {@code upstream.no-proxy}: comma-separated host patterns as in a policy, and
 *     CIDRs, that are reached without it. Default none.
 * @param directRanges the CIDRs among those
 */
public record UpstreamProxySettings(
    boolean tls,
    Host host,
    int port,
    Optional<Path> credentials,
    boolean byName,
    List<HostPattern> directHosts,
    List<Cidr> directRanges) {
  private static final Pattern URL =
      Pattern.compile("(https?)://([^/:@?#\\[\\]]+|\\[[^\\]]+\\]):([0-9]{1,5})/?");
  private static final Pattern CREDENTIALS = Pattern.compile("[ -9;-~]+:[ -~]*");
  private static final int MAX_CREDENTIALS = 1024;

  /** Problems are noted in the settings. */
  static Optional<UpstreamProxySettings> read(Settings settings) {
    String url = settings.text("upstream.proxy", "");
    Optional<Path> credentials = settings.optionalPath("upstream.proxy-credentials-file");
    String target = settings.text("upstream.proxy-target", "address");
    List<String> direct = settings.list("upstream.no-proxy", List.of());
    if (!target.equals("address") && !target.equals("name")) {
      settings.problem(
          "upstream.proxy-target", "is '" + target + "', expected 'address' or 'name'");
    }
    List<HostPattern> hosts = new ArrayList<>();
    List<Cidr> ranges = new ArrayList<>();
    for (String entry : direct) {
      try {
        if (entry.indexOf('/') >= 0) {
          ranges.add(Cidr.parse(entry));
        } else {
          hosts.add(HostPattern.parse(entry));
        }
      } catch (IllegalArgumentException e) {
        settings.problem("upstream.no-proxy", "has " + e.getMessage());
      }
    }
    if (url.isEmpty()) {
      if (credentials.isPresent() || !direct.isEmpty() || target.equals("name")) {
        settings.problem("upstream.proxy", "is not set, but what belongs to it is");
      }
      return Optional.empty();
    }
    Matcher parts = URL.matcher(url);
    Optional<Host> host = parts.matches() ? Host.parse(parts.group(2)) : Optional.empty();
    int port = parts.matches() ? Integer.parseInt(parts.group(3)) : 0;
    if (host.isEmpty() || port < 1 || port > 65535) {
      settings.problem(
          "upstream.proxy", "is no http://host:port or https://host:port, without credentials");
      return Optional.empty();
    }
    return Optional.of(
        new UpstreamProxySettings(
            parts.group(1).equals("https"),
            host.get(),
            port,
            credentials,
            target.equals("name"),
            hosts,
            ranges));
  }

  /**
   * With its credentials.
   *
   * @throws IllegalArgumentException for a file that holds none
   */
  UpstreamProxy open() {
    return new UpstreamProxy(
        tls,
        host,
        port,
        credentials.map(UpstreamProxySettings::authorization),
        byName,
        directHosts,
        directRanges);
  }

  private static String authorization(Path file) {
    try {
      String text = Files.readString(file, StandardCharsets.ISO_8859_1).replaceFirst("\r?\n$", "");
      if (text.length() > MAX_CREDENTIALS || !CREDENTIALS.matcher(text).matches()) {
        throw new IllegalArgumentException(
            "upstream.proxy-credentials-file %s does not hold user:password in one line of at most %d bytes"
                .formatted(file, MAX_CREDENTIALS));
      }
      return "Basic "
          + Base64.getEncoder().encodeToString(text.getBytes(StandardCharsets.ISO_8859_1));
    } catch (IOException e) {
      throw new UncheckedIOException("cannot read upstream.proxy-credentials-file " + file, e);
    }
  }
}
