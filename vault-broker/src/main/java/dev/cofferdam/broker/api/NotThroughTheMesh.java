package dev.cofferdam.broker.api;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.kit.identity.PeerIdentity;
import dev.cofferdam.v1.ErrorReason;
import io.grpc.Grpc;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import java.security.cert.Certificate;
import java.security.cert.X509Certificate;
import java.util.Optional;
import javax.net.ssl.SSLPeerUnverifiedException;
import javax.net.ssl.SSLSession;

/**
 * Refuses a tenant's call that comes from a service of the mesh: a token that passed through the
 * scheduler shall write nothing, whatever its scopes.
 */
final class NotThroughTheMesh implements ServerInterceptor {
  private static final String OPERATOR = "operator";

  private final String trustDomain;

  NotThroughTheMesh(String trustDomain) {
    this.trustDomain = trustDomain;
  }

  @Override
  public <Q, A> ServerCall.Listener<Q> interceptCall(
      ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
    Optional<X509Certificate> certificate = certificate(call);
    if (certificate.isPresent()) {
      Optional<PeerIdentity> peer = PeerIdentity.of(certificate.get(), trustDomain);
      if (peer.isEmpty() || !peer.get().service().equals(OPERATOR)) {
        throw new Refusal(
            ErrorReason.ERROR_REASON_THROUGH_SCHEDULER,
            "secrets are written, and requests answered for, by their owners alone, not by way of "
                + peer.map(PeerIdentity::service).orElse("a peer without a name"));
      }
    }
    return next.startCall(call, headers);
  }

  private static Optional<X509Certificate> certificate(ServerCall<?, ?> call) {
    SSLSession session = call.getAttributes().get(Grpc.TRANSPORT_ATTR_SSL_SESSION);
    if (session == null) {
      return Optional.empty();
    }
    try {
      Certificate[] chain = session.getPeerCertificates();
      return chain.length > 0 && chain[0] instanceof X509Certificate certificate
          ? Optional.of(certificate)
          : Optional.empty();
    } catch (SSLPeerUnverifiedException e) {
      return Optional.empty();
    }
  }
}
