package dev.cofferdam.gateway.tls;

import com.google.common.cache.Cache;
import com.google.common.cache.CacheBuilder;
import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.gateway.slot.Attachment;
import io.netty.handler.ssl.ApplicationProtocolConfig;
import io.netty.handler.ssl.ApplicationProtocolConfig.Protocol;
import io.netty.handler.ssl.ApplicationProtocolConfig.SelectedListenerFailureBehavior;
import io.netty.handler.ssl.ApplicationProtocolConfig.SelectorFailureBehavior;
import io.netty.handler.ssl.ApplicationProtocolNames;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import java.security.KeyPair;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What the gateway shows to guests: a leaf for one host, under an issuer that the broker signed for
 * one sandbox and one revision of its policy. All keys live in this process's memory alone. Safe
 * for use by several threads.
 */
public final class SandboxCertificates {
  private static final Logger log = LoggerFactory.getLogger(SandboxCertificates.class);

  /** The broker, as far as this is concerned. Blocks. */
  @FunctionalInterface
  public interface Signer {
    /**
     * @param request PKCS #10, DER
     */
    X509Certificate sign(String sandbox, long revision, byte[] request);
  }

  /** An issuer is replaced while it has this left, so that no leaf expires in use. */
  private static final Duration OVERLAP = Duration.ofHours(1);

  private record IssuerKey(String sandbox, long generation, long revision) {}

  private record LeafKey(X509Certificate issuer, Host.Name host, boolean http2) {}

  private final Signer signer;
  private final KeyReservoir keys;
  private final InstantSource clock;
  private final Executor blocking;
  private final Cache<IssuerKey, CompletableFuture<Issuer>> issuers =
      CacheBuilder.newBuilder().maximumSize(4096).build();
  private final Cache<LeafKey, CompletableFuture<SslContext>> leaves =
      CacheBuilder.newBuilder().maximumSize(8192).build();

  public SandboxCertificates(
      Signer signer, KeyReservoir keys, InstantSource clock, Executor blocking) {
    this.signer = signer;
    this.keys = keys;
    this.clock = clock;
    this.blocking = blocking;
  }

  /** Has the issuer signed ahead of the first connection. */
  public void prepare(Attachment attachment) {
    issuer(attachment)
        .whenComplete((_, thrown) -> {
          if (thrown != null) {
            log.atWarn()
                .setMessage("issuer_unavailable")
                .addKeyValue("sandbox", attachment.sandbox())
                .addKeyValue("why", thrown.toString())
                .log();
          }
        });
  }

  /**
   * @param http2 offer it beside HTTP/1.1
   * @return fails as the broker refused; the next call asks again
   */
  public CompletableFuture<SslContext> context(
      Attachment attachment, Host.Name host, boolean http2) {
    return issuer(attachment)
        .thenCompose(issuer -> {
          LeafKey key = new LeafKey(issuer.certificate(), host, http2);
          return leaves
              .asMap()
              .computeIfAbsent(
                  key,
                  _ -> CompletableFuture.supplyAsync(() -> serve(issuer, host, http2), blocking));
        });
  }

  private CompletableFuture<Issuer> issuer(Attachment attachment) {
    IssuerKey key =
        new IssuerKey(attachment.sandbox(), attachment.generation(), attachment.revision());
    return issuers
        .asMap()
        .compute(key, (_, known) -> known != null && usable(known) ? known : newIssuer(attachment));
  }

  private boolean usable(CompletableFuture<Issuer> known) {
    if (!known.isDone()) {
      return true;
    }
    if (known.isCompletedExceptionally()) {
      return false;
    }
    Instant end = known.join().certificate().getNotAfter().toInstant();
    return clock.instant().isBefore(end.minus(OVERLAP));
  }

  private CompletableFuture<Issuer> newIssuer(Attachment attachment) {
    return CompletableFuture.supplyAsync(
        () -> {
          KeyPair pair = keys.take();
          X509Certificate certificate =
              signer.sign(attachment.sandbox(), attachment.revision(), Issuer.request(pair));
          if (!certificate.getPublicKey().equals(pair.getPublic())) {
            throw new IllegalStateException("the broker signed another key");
          }
          return new Issuer(certificate, pair.getPrivate());
        },
        blocking);
  }

  private SslContext serve(Issuer issuer, Host.Name host, boolean http2) {
    KeyPair pair = keys.take();
    X509Certificate leaf = issuer.leaf(host, pair.getPublic(), clock.instant());
    try {
      return SslContextBuilder.forServer(pair.getPrivate(), leaf, issuer.certificate())
          .sslProvider(UpstreamTls.provider())
          .protocols("TLSv1.3", "TLSv1.2")
          .applicationProtocolConfig(alpn(http2))
          .build();
    } catch (javax.net.ssl.SSLException e) {
      throw new IllegalStateException("cannot serve " + host, e);
    }
  }

  static ApplicationProtocolConfig alpn(boolean http2) {
    return new ApplicationProtocolConfig(
        Protocol.ALPN,
        SelectorFailureBehavior.NO_ADVERTISE,
        SelectedListenerFailureBehavior.ACCEPT,
        http2
            ? new String[] {ApplicationProtocolNames.HTTP_2, ApplicationProtocolNames.HTTP_1_1}
            : new String[] {ApplicationProtocolNames.HTTP_1_1});
  }
}
