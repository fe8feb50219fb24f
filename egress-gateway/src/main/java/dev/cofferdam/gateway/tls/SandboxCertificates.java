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
import java.util.concurrent.Semaphore;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
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

  /** So that a gateway with many slots does not ask for all issuers at once when it starts. */
  private static final int MAX_AHEAD = 16;

  private record IssuerKey(String sandbox, long generation, long revision) {}

  private record LeafKey(X509Certificate issuer, Host.Name host, boolean http2) {}

  private final Signer signer;
  private final KeyReservoir keys;
  private final InstantSource clock;
  private final Executor blocking;
  private final Semaphore ahead = new Semaphore(MAX_AHEAD);
  private final Cache<IssuerKey, Held> issuers =
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

  /**
   * Has the issuer signed ahead of the first connection, which may come when the broker is away.
   * Where nothing is intercepted there is none, and the broker would refuse.
   */
  public void prepare(Attachment attachment) {
    if (!attachment.policy().intercepts()) {
      return;
    }
    blocking.execute(() -> {
      try {
        ahead.acquire();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        return;
      }
      issuer(attachment)
          .whenComplete((_, thrown) -> {
            ahead.release();
            if (thrown != null) {
              log.atWarn()
                  .setMessage("issuer_unavailable")
                  .addKeyValue("sandbox", attachment.sandbox())
                  .addKeyValue("why", thrown.toString())
                  .log();
            }
          });
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
          CompletableFuture<SslContext> leaf =
              leaves
                  .asMap()
                  .computeIfAbsent(
                      key,
                      _ ->
                          CompletableFuture.supplyAsync(
                              () -> serve(issuer, host, http2), blocking));
          // A failure is not kept, or the host would stay shut for as long as the issuer lives.
          return leaf.whenComplete((_, thrown) -> {
            if (thrown != null) {
              leaves.asMap().remove(key, leaf);
            }
          });
        });
  }

  private CompletableFuture<Issuer> issuer(Attachment attachment) {
    IssuerKey key =
        new IssuerKey(attachment.sandbox(), attachment.generation(), attachment.revision());
    return issuers
        .asMap()
        .computeIfAbsent(key, _ -> new Held())
        .issuer(clock.instant(), () -> newIssuer(attachment));
  }

  /** The issuer of one key: the one in use, and the one that is being signed. */
  private static final class Held {
    private @Nullable Issuer current;
    private @Nullable CompletableFuture<Issuer> signing;

    /** Near its end an issuer serves on until the next one has been signed. */
    synchronized CompletableFuture<Issuer> issuer(
        Instant now, Supplier<CompletableFuture<Issuer>> next) {
      Issuer issuer = current;
      Instant end = issuer == null ? Instant.MIN : issuer.end();
      if (issuer != null && now.isBefore(end.minus(OVERLAP))) {
        return CompletableFuture.completedFuture(issuer);
      }
      CompletableFuture<Issuer> pending = signing;
      if (pending == null || pending.isDone()) {
        pending = next.get();
        signing = pending;
        var _ = pending.thenAccept(this::use);
      }
      return issuer != null && now.isBefore(end)
          ? CompletableFuture.completedFuture(issuer)
          : pending;
    }

    private synchronized void use(Issuer signed) {
      current = signed;
    }
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
