package dev.cofferdam.gateway.proxy;

import io.netty.handler.ssl.SslHandler;
import java.security.cert.X509Certificate;
import java.time.Instant;
import javax.net.ssl.SSLPeerUnverifiedException;

/** What a finished handshake says. */
final class UpstreamTlsFacts {
  private UpstreamTlsFacts() {}

  static Instant certificateEnd(SslHandler handler) {
    try {
      X509Certificate leaf =
          (X509Certificate) handler.engine().getSession().getPeerCertificates()[0];
      return leaf.getNotAfter().toInstant();
    } catch (SSLPeerUnverifiedException e) {
      throw new IllegalStateException("a handshake without a certificate was let through", e);
    }
  }
}
