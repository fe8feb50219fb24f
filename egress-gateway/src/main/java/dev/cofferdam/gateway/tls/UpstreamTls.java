package dev.cofferdam.gateway.tls;

import io.netty.buffer.ByteBufAllocator;
import io.netty.handler.ssl.OpenSsl;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.handler.ssl.SslHandler;
import io.netty.handler.ssl.SslProvider;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import javax.net.ssl.SSLException;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Connections to upstreams: always verified, chain and name. There is no switch to turn that off.
 */
public final class UpstreamTls {
  private static final Logger log = LoggerFactory.getLogger(UpstreamTls.class);

  /** Where Debian keeps what its administrator trusts. */
  private static final Path SYSTEM_BUNDLE = Path.of("/etc/ssl/certs/ca-certificates.crt");

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
    List<X509Certificate> trusted = new ArrayList<>(system());
    extra.ifPresent(file -> trusted.addAll(read(file)));
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

  private static List<X509Certificate> system() {
    if (Files.isReadable(SYSTEM_BUNDLE)) {
      return read(SYSTEM_BUNDLE);
    }
    try {
      TrustManagerFactory factory =
          TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
      factory.init((KeyStore) null);
      return Arrays.stream(factory.getTrustManagers())
          .filter(X509TrustManager.class::isInstance)
          .flatMap(manager -> Arrays.stream(((X509TrustManager) manager).getAcceptedIssuers()))
          .toList();
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("the JDK's own trust store cannot be read", e);
    }
  }

  private static List<X509Certificate> read(Path file) {
    try (InputStream in = Files.newInputStream(file)) {
      List<X509Certificate> certificates = new ArrayList<>();
      for (Certificate c : CertificateFactory.getInstance("X.509").generateCertificates(in)) {
        certificates.add((X509Certificate) c);
      }
      if (certificates.isEmpty()) {
        throw new IllegalArgumentException(file + " holds no certificate");
      }
      return certificates;
    } catch (IOException | CertificateException e) {
      throw new IllegalArgumentException("cannot read certificates from " + file + ": " + e, e);
    }
  }
}
