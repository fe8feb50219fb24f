package dev.cofferdam.gateway.tls;

import dev.cofferdam.kit.upstream.TrustedRoots;
import io.netty.buffer.ByteBufAllocator;
import io.netty.handler.ssl.OpenSsl;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.handler.ssl.SslHandler;
import io.netty.handler.ssl.SslProvider;
import java.nio.file.Path;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import javax.net.ssl.SSLException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Connections to upstreams: always verified, chain and name. There is no switch to turn that off.
 */
public final class UpstreamTls {
  private static final Logger log = LoggerFactory.getLogger(UpstreamTls.class);

  private final SslContext context;

  /** Offers HTTP/1.1 alone. */
  private final SslContext oldContext;

  /**
   * @param extra a PEM bundle, trusted beside the system's
   * @throws IllegalArgumentException naming the file that cannot be used
   */
  public UpstreamTls(Optional<Path> extra) {
    if (!OpenSsl.isAvailable()) {
      log.atWarn()
          .setMessage("tls_of_the_jdk")
          .addKeyValue("why", String.valueOf(OpenSsl.unavailabilityCause()))
          .log();
    }
    List<X509Certificate> trusted = TrustedRoots.systemAnd(extra);
    try {
      this.context = context(trusted, true);
      this.oldContext = context(trusted, false);
    } catch (SSLException e) {
      throw new IllegalArgumentException("cannot trust " + extra + ": " + e.getMessage(), e);
    }
  }

  private static SslContext context(List<X509Certificate> trusted, boolean http2)
      throws SSLException {
    return SslContextBuilder.forClient()
        .sslProvider(provider())
        .trustManager(trusted)
        .endpointIdentificationAlgorithm("HTTPS")
        .protocols("TLSv1.3", "TLSv1.2")
        .applicationProtocolConfig(SandboxCertificates.alpn(http2))
        .build();
  }

  static SslProvider provider() {
    return OpenSsl.isAvailable() ? SslProvider.OPENSSL : SslProvider.JDK;
  }

  /**
   * Sends the host as SNI and verifies the certificate for it.
   *
   * @param http2 whether it is offered beside HTTP/1.1
   */
  public SslHandler handler(
      ByteBufAllocator allocator, String host, int port, boolean http2, Duration handshakeTimeout) {
    SslHandler handler = (http2 ? context : oldContext).newHandler(allocator, host, port);
    handler.setHandshakeTimeoutMillis(handshakeTimeout.toMillis());
    // Each write is encrypted from its own buffer: gathering several into one would copy a secret
    // into memory that nobody wipes.
    handler.setWrapDataSize(0);
    return handler;
  }
}
