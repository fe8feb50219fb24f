package dev.cofferdam.kit.identity;

import io.grpc.netty.GrpcSslContexts;
import io.grpc.util.AdvancedTlsX509KeyManager;
import io.grpc.util.AdvancedTlsX509TrustManager;
import io.grpc.util.CertificateUtils;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.TimeGauge;
import io.micrometer.core.instrument.binder.MeterBinder;
import io.netty.handler.ssl.ClientAuth;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.nio.file.Files;
import java.security.GeneralSecurityException;
import java.security.PrivateKey;
import java.security.Signature;
import java.security.cert.CertificateException;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * TLS 1.3 between the processes of the mesh, from files that are read again when they change.
 *
 * <p>Connections that are open keep the certificate they began with; new ones use the newest. A
 * file that cannot be read leaves the last good one in force. Safe for use by several threads.
 */
public final class MeshTls implements AutoCloseable, MeterBinder {
  /** How soon a changed file is noticed. */
  private static final Duration RELOAD = Duration.ofSeconds(5);

  private static final Logger log = LoggerFactory.getLogger(MeshTls.class);

  private final TlsFiles files;
  private final AdvancedTlsX509KeyManager keyManager = new AdvancedTlsX509KeyManager();
  private final AdvancedTlsX509TrustManager clientTrust;
  private final Map<String, AdvancedTlsX509TrustManager> serverTrust = new ConcurrentHashMap<>();
  private final ScheduledExecutorService reloader =
      Executors.newSingleThreadScheduledExecutor(
          Thread.ofPlatform().daemon().name("tls-reload").factory());
  private List<byte[]> inForce;
  private volatile Instant notAfter = Instant.EPOCH;

  private MeshTls(TlsFiles files) throws GeneralSecurityException, IOException {
    this.files = files;
    this.clientTrust = trust(Optional.empty());
    this.inForce = contents();
    apply();
  }

  /**
   * Reads the files and begins to watch them.
   *
   * @throws IllegalStateException naming the files, when they cannot be used
   */
  public static MeshTls open(TlsFiles files) {
    return open(files, RELOAD);
  }

  static MeshTls open(TlsFiles files, Duration reload) {
    try {
      MeshTls tls = new MeshTls(files);
      var _ =
          tls.reloader.scheduleWithFixedDelay(
              tls::reload, reload.toMillis(), reload.toMillis(), TimeUnit.MILLISECONDS);
      return tls;
    } catch (IOException | GeneralSecurityException e) {
      throw new IllegalStateException(
          "cannot use the identity in %s, %s and %s: %s"
              .formatted(files.certificate(), files.key(), files.authority(), e.getMessage()),
          e);
    }
  }

  private void reload() {
    try {
      List<byte[]> now = contents();
      if (!sameAs(now)) {
        apply();
        inForce = now;
        log.atInfo().setMessage("identity_reloaded").log();
      }
    } catch (IOException | GeneralSecurityException | RuntimeException e) {
      // Tried again at the next turn; what was good until now stays in force.
      log.atWarn()
          .setMessage("identity_not_reloaded")
          .addKeyValue("certificate", files.certificate())
          .addKeyValue("cause", e.toString())
          .log();
    }
  }

  private boolean sameAs(List<byte[]> now) {
    for (int i = 0; i < now.size(); i++) {
      if (!Arrays.equals(now.get(i), inForce.get(i))) {
        return false;
      }
    }
    return true;
  }

  /** Of a certificate and its key that are replaced one after the other, never one of each. */
  private void apply() throws IOException, GeneralSecurityException {
    X509Certificate[] chain;
    PrivateKey key;
    try (InputStream certificate = Files.newInputStream(files.certificate());
        InputStream privateKey = Files.newInputStream(files.key())) {
      chain = CertificateUtils.getX509Certificates(certificate);
      key = CertificateUtils.getPrivateKey(privateKey);
    }
    requirePair(chain[0], key);
    for (AdvancedTlsX509TrustManager manager : serverTrust.values()) {
      manager.updateTrustCredentials(files.authority().toFile());
    }
    clientTrust.updateTrustCredentials(files.authority().toFile());
    keyManager.updateIdentityCredentials(chain, key);
    notAfter = chain[0].getNotAfter().toInstant();
  }

  private static void requirePair(X509Certificate certificate, PrivateKey key)
      throws GeneralSecurityException {
    String algorithm = key.getAlgorithm().equals("EC") ? "SHA256withECDSA" : "SHA256withRSA";
    byte[] probe = {1};
    Signature signature = Signature.getInstance(algorithm);
    signature.initSign(key);
    signature.update(probe);
    byte[] signed = signature.sign();
    signature.initVerify(certificate);
    signature.update(probe);
    if (!signature.verify(signed)) {
      throw new GeneralSecurityException("the key is not the certificate's");
    }
  }

  private List<byte[]> contents() throws IOException {
    return List.of(
        Files.readAllBytes(files.certificate()),
        Files.readAllBytes(files.key()),
        Files.readAllBytes(files.authority()));
  }

  @Override
  public void bindTo(MeterRegistry meters) {
    TimeGauge.builder(
            "cofferdam.certificate.not.after",
            this,
            TimeUnit.SECONDS,
            tls -> tls.notAfter.getEpochSecond())
        .description("End of the certificate in force, in seconds since 1970")
        .register(meters);
  }

  public String trustDomain() {
    return files.trustDomain();
  }

  /**
   * For a listener. With {@link ClientAuth#OPTIONAL} a certificate that is shown is still verified.
   */
  public SslContext server(ClientAuth clientAuth) {
    try {
      return GrpcSslContexts.configure(
              SslContextBuilder.forServer(keyManager)
                  .trustManager(clientTrust)
                  .clientAuth(clientAuth))
          .protocols("TLSv1.3")
          .build();
    } catch (SSLException e) {
      throw new IllegalStateException("cannot set up TLS for a listener: " + e.getMessage(), e);
    }
  }

  /** For calls to a service of the mesh: a server that is not an instance of it is refused. */
  public SslContext client(String expectedService) {
    try {
      return GrpcSslContexts.configure(
              SslContextBuilder.forClient()
                  .keyManager(keyManager)
                  .trustManager(serverTrust.computeIfAbsent(expectedService, this::trustInServer))
                  // The peer is held to its URI, not to the name that was dialled.
                  .endpointIdentificationAlgorithm(""))
          .protocols("TLSv1.3")
          .build();
    } catch (SSLException e) {
      throw new IllegalStateException("cannot set up TLS for a client: " + e.getMessage(), e);
    }
  }

  private AdvancedTlsX509TrustManager trustInServer(String expectedService) {
    try {
      return trust(Optional.of(expectedService));
    } catch (GeneralSecurityException | IOException e) {
      throw new IllegalStateException(
          "cannot read " + files.authority() + ": " + e.getMessage(), e);
    }
  }

  private AdvancedTlsX509TrustManager trust(Optional<String> expectedService)
      throws GeneralSecurityException, IOException {
    AdvancedTlsX509TrustManager manager =
        AdvancedTlsX509TrustManager.newBuilder()
            .setVerification(AdvancedTlsX509TrustManager.Verification.CERTIFICATE_ONLY_VERIFICATION)
            .setSslSocketAndEnginePeerVerifier(
                new UriVerifier(files.trustDomain(), expectedService))
            .build();
    manager.updateTrustCredentials(files.authority().toFile());
    return manager;
  }

  @Override
  public void close() {
    reloader.shutdownNow();
  }

  /** Runs after the chain was verified. */
  private record UriVerifier(String trustDomain, Optional<String> expectedService)
      implements AdvancedTlsX509TrustManager.SslSocketAndEnginePeerVerifier {
    @Override
    public void verifyPeerCertificate(X509Certificate[] chain, String authType, Socket socket)
        throws CertificateException {
      verify(chain);
    }

    @Override
    public void verifyPeerCertificate(X509Certificate[] chain, String authType, SSLEngine engine)
        throws CertificateException {
      verify(chain);
    }

    private void verify(X509Certificate[] chain) throws CertificateException {
      Optional<PeerIdentity> peer = PeerIdentity.of(chain[0], trustDomain);
      if (peer.isEmpty()) {
        throw new CertificateException(
            "the peer's certificate carries no single URI spiffe://" + trustDomain + "/…");
      }
      if (expectedService.isPresent() && !peer.get().service().equals(expectedService.get())) {
        throw new CertificateException(
            "the peer is %s, expected %s".formatted(peer.get().service(), expectedService.get()));
      }
    }
  }
}
