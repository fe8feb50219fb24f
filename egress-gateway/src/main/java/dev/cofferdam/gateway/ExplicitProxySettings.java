package dev.cofferdam.gateway;

import com.google.common.net.InetAddresses;
import dev.cofferdam.kit.config.Settings;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.Optional;
import javax.net.ssl.SSLException;

/**
 * The explicit proxy for programs in no sandbox.
 *
 * @param listen {@code proxy.listen}: host:port. Without a certificate the host is a loopback
 *     address: the token of a session never crosses a network in clear. Default none, and then
 *     there is no explicit proxy.
 * @param address {@code proxy.address}: host:port at which programs reach it. Default: as it
 *     listens.
 * @param tls {@code proxy.tls-certificate}, {@code proxy.tls-key}: absolute paths of PEM files,
 *     read at the start. Default none.
 */
public record ExplicitProxySettings(
    InetSocketAddress listen, String address, Optional<Identity> tls) {
  /** What the listener shows. */
  public record Identity(Path certificate, Path key) {
    SslContext context() {
      try {
        return SslContextBuilder.forServer(certificate.toFile(), key.toFile())
            .protocols("TLSv1.3", "TLSv1.2")
            .build();
      } catch (SSLException | IllegalArgumentException e) {
        throw new IllegalArgumentException(
            "cannot use proxy.tls-certificate %s and proxy.tls-key: %s"
                .formatted(certificate, e.getMessage()),
            e);
      }
    }
  }

  /** Problems are noted in the settings. */
  static Optional<ExplicitProxySettings> read(Settings settings) {
    boolean on = !settings.text("proxy.listen", "").isEmpty();
    InetSocketAddress listen = settings.address("proxy.listen", "127.0.0.1:1");
    String shown = listen.getHostString() + ":" + listen.getPort();
    InetSocketAddress address = settings.address("proxy.address", shown);
    Optional<Path> certificate = settings.optionalPath("proxy.tls-certificate");
    Optional<Path> key = settings.optionalPath("proxy.tls-key");
    if (certificate.isPresent() != key.isPresent()) {
      settings.problem("proxy.tls-certificate", "and proxy.tls-key go together, one is not set");
    }
    if (!on) {
      if (certificate.isPresent() || !settings.text("proxy.address", "").isEmpty()) {
        settings.problem("proxy.listen", "is not set, but what belongs to it is");
      }
      return Optional.empty();
    }
    if (certificate.isEmpty() && !loopback(listen.getHostString())) {
      settings.problem(
          "proxy.listen",
          "is '%s', expected a loopback address where proxy.tls-certificate is not set"
              .formatted(shown));
    }
    if (listen.getPort() == 0) {
      settings.problem("proxy.listen", "has the port 0, expected 1 to 65535");
    }
    return Optional.of(
        new ExplicitProxySettings(
            listen,
            address.getHostString() + ":" + address.getPort(),
            certificate.flatMap(file -> key.map(k -> new Identity(file, k)))));
  }

  private static boolean loopback(String host) {
    return InetAddresses.isInetAddress(host) && InetAddresses.forString(host).isLoopbackAddress();
  }
}
