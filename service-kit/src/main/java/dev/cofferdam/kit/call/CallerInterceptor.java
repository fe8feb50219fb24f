package dev.cofferdam.kit.call;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.kit.identity.PeerIdentity;
import dev.cofferdam.v1.ErrorReason;
import io.grpc.Attributes;
import io.grpc.Context;
import io.grpc.Contexts;
import io.grpc.Grpc;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.ServerTransportFilter;
import io.grpc.StatusRuntimeException;
import java.security.cert.Certificate;
import java.security.cert.X509Certificate;
import java.util.Optional;
import javax.net.ssl.SSLPeerUnverifiedException;
import javax.net.ssl.SSLSession;
import org.jspecify.annotations.Nullable;

/**
 * Refuses every call whose caller the rules do not name, before its handler sees anything of it.
 */
public final class CallerInterceptor implements ServerInterceptor {
  private static final String BEARER = "Bearer ";
  private static final Attributes.Key<PeerIdentity> PEER = Attributes.Key.create("cofferdam-peer");

  private final CallRules rules;
  private final TokenVerifier tokens;

  public CallerInterceptor(CallRules rules, TokenVerifier tokens) {
    this.rules = rules;
    this.tokens = tokens;
  }

  @Override
  public <Q, A> ServerCall.Listener<Q> interceptCall(
      ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
    String method = call.getMethodDescriptor().getFullMethodName();
    try {
      String token = token(headers);
      Caller caller = identify(method, call, token);
      Context context =
          Context.current().withValue(Callers.CALLER, caller).withValue(Callers.TOKEN, token);
      return Contexts.interceptCall(context, call, headers, next);
    } catch (RuntimeException e) {
      StatusRuntimeException status = Refusals.toStatus(e);
      Metadata trailers = status.getTrailers();
      call.close(status.getStatus(), trailers == null ? new Metadata() : trailers);
      return new ServerCall.Listener<>() {};
    }
  }

  private Caller identify(String method, ServerCall<?, ?> call, String token) {
    CallRules.Rule rule =
        rules
            .rule(method)
            .orElseThrow(() ->
                new Refusal(ErrorReason.ERROR_REASON_PEER_NOT_ALLOWED, method + " has no callers"));
    return switch (rule) {
      case CallRules.Rule.Open _ -> new Caller.Anonymous();
      case CallRules.Rule.Peers peers -> {
        Optional<PeerIdentity> identity = peer(call);
        if (identity.isEmpty() || !peers.services().contains(identity.get().service())) {
          throw new Refusal(
              ErrorReason.ERROR_REASON_PEER_NOT_ALLOWED,
              "%s is not for %s, only for %s"
                  .formatted(
                      method,
                      identity
                          .map(PeerIdentity::service)
                          .orElse("a caller without a client certificate"),
                      peers.services().stream().sorted().toList()));
        }
        yield new Caller.Peer(identity.get());
      }
      case CallRules.Rule.Tenant tenant -> tenant(method, tenant.scope(), token);
      case CallRules.Rule.PortKeyOr ports ->
          token.startsWith(PortKeys.PREFIX)
              ? tokens.portKey(token).orElseThrow(CallerInterceptor::unknown)
              : ports.scope().isEmpty()
                  ? tenant(method, ports.scope(), token)
                  : sshSession(method, ports.scope(), token);
      case CallRules.Rule.SshSessionOr ssh -> sshSession(method, ssh.scope(), token);
    };
  }

  private Caller sshSession(String method, String scope, String token) {
    if (!token.startsWith(SshSessions.PREFIX)) {
      return tenant(method, scope, token);
    }
    Caller.SshSession session = tokens.sshSession(token).orElseThrow(CallerInterceptor::unknown);
    if (!scope.isEmpty() && !session.scopes().contains(scope)) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_SCOPE_MISSING,
          "%s needs the scope %s, which the token of the key %s lacks"
              .formatted(method, scope, session.key()));
    }
    return session;
  }

  private Caller tenant(String method, String scope, String token) {
    if (token.isEmpty()) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_TOKEN_MISSING,
          method + " needs the metadata 'authorization: Bearer <token>'");
    }
    Caller.Tenant tenant = tokens.verify(token).orElseThrow(CallerInterceptor::unknown);
    if (!tenant.scopes().contains(scope)) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_SCOPE_MISSING,
          "%s needs the scope %s; token %s has %s"
              .formatted(
                  method, scope, tenant.tokenId(), tenant.scopes().stream().sorted().toList()));
    }
    return tenant;
  }

  private static Refusal unknown() {
    return new Refusal(ErrorReason.ERROR_REASON_TOKEN_INVALID, "the token is not known here");
  }

  private static String token(Metadata headers) {
    String value = headers.get(Callers.AUTHORIZATION);
    return value != null && value.regionMatches(true, 0, BEARER, 0, BEARER.length())
        ? value.substring(BEARER.length()).strip()
        : "";
  }

  private static Optional<PeerIdentity> peer(ServerCall<?, ?> call) {
    return Optional.ofNullable(call.getAttributes().get(PEER));
  }

  /**
   * Reads the peer's certificate once, when its connection is ready, and not for each call. A
   * listener without it knows no peers.
   */
  public static ServerTransportFilter peers(String trustDomain) {
    return new ServerTransportFilter() {
      @Override
      public Attributes transportReady(Attributes connection) {
        return peer(connection.get(Grpc.TRANSPORT_ATTR_SSL_SESSION), trustDomain)
            .map(peer -> connection.toBuilder().set(PEER, peer).build())
            .orElse(connection);
      }
    };
  }

  private static Optional<PeerIdentity> peer(@Nullable SSLSession session, String trustDomain) {
    if (session == null) {
      return Optional.empty();
    }
    try {
      Certificate[] chain = session.getPeerCertificates();
      return chain.length > 0 && chain[0] instanceof X509Certificate certificate
          ? PeerIdentity.of(certificate, trustDomain)
          : Optional.empty();
    } catch (SSLPeerUnverifiedException e) {
      return Optional.empty();
    }
  }
}
