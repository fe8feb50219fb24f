package dev.cofferdam.loadtest;

import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** mitmproxy from PyPI, as {@code mitmdump}. */
final class Mitmproxy {
  private final Path program;
  private final Path upstreamAuthority;

  /**
   * @param program {@code mitmdump}
   * @param upstreamAuthority what it trusts
   */
  Mitmproxy(Path program, Path upstreamAuthority) {
    this.program = program;
    this.upstreamAuthority = upstreamAuthority;
  }

  ProxyPeer plain() throws IOException {
    Path directory = Files.createTempDirectory("cofferdam-mitmproxy");
    return start(directory, List.of(), Map.of());
  }

  /** Does with a placeholder what the gateway does, by an add-on of a few lines. */
  ProxyPeer substituting(String placeholder, String value) throws IOException {
    Path directory = Files.createTempDirectory("cofferdam-mitmproxy");
    Path addOn = directory.resolve("substitute.py");
    try (InputStream script = Mitmproxy.class.getResourceAsStream("mitmproxy_substitute.py")) {
      if (script == null) {
        throw new IllegalStateException("mitmproxy_substitute.py is not in this program");
      }
      Files.copy(script, addOn);
    }
    return start(
        directory,
        List.of("--scripts", addOn.toString()),
        Map.of("PLACEHOLDER", placeholder, "VALUE", value));
  }

  private ProxyPeer start(Path directory, List<String> more, Map<String, String> environment)
      throws IOException {
    InetSocketAddress address = ProxyPeer.freeAddress();
    List<String> command =
        new ArrayList<>(
            List.of(
                program.toString(),
                "--quiet",
                "--listen-host",
                address.getHostString(),
                "--listen-port",
                String.valueOf(address.getPort()),
                "--set",
                "confdir=" + directory,
                "--set",
                "ssl_verify_upstream_trusted_ca=" + upstreamAuthority));
    command.addAll(more);
    return ProxyPeer.start(
        directory,
        command,
        environment,
        address,
        directory.resolve("log"),
        directory.resolve("mitmproxy-ca-cert.pem"));
  }
}
