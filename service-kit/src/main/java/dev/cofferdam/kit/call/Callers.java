package dev.cofferdam.kit.call;

import io.grpc.Context;
import io.grpc.Metadata;

/**
 * The caller of the current call, for handlers. Valid on the thread and in the context that gRPC
 * runs them in.
 */
public final class Callers {
  /** {@code authorization: Bearer <token>}. */
  public static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  static final Context.Key<Caller> CALLER = Context.key("cofferdam-caller");
  static final Context.Key<String> TOKEN = Context.key("cofferdam-token");

  private Callers() {}

  public static Caller current() {
    Caller caller = CALLER.get();
    if (caller == null) {
      throw new IllegalStateException("no caller: this runs outside a call of an RpcServer");
    }
    return caller;
  }

  public static Caller.Tenant tenant() {
    return switch (current()) {
      case Caller.Tenant tenant -> tenant;
      case Caller.Peer peer ->
          throw new IllegalStateException("called by a peer: " + peer.identity());
      case Caller.PortKey key -> throw new IllegalStateException("called by " + key.keyId());
      case Caller.SshSession session ->
          throw new IllegalStateException("called over SSH with " + session.key());
      case Caller.Anonymous _ -> throw new IllegalStateException("called by nobody");
    };
  }

  public static Caller.Peer peer() {
    return switch (current()) {
      case Caller.Peer peer -> peer;
      case Caller.Tenant tenant ->
          throw new IllegalStateException("called by tenant " + tenant.tenant());
      case Caller.PortKey key -> throw new IllegalStateException("called by " + key.keyId());
      case Caller.SshSession session ->
          throw new IllegalStateException("called over SSH with " + session.key());
      case Caller.Anonymous _ -> throw new IllegalStateException("called by nobody");
    };
  }

  /**
   * The bearer token that came with the call, to be passed on to the service that checks it; empty
   * without one.
   */
  public static String token() {
    String token = TOKEN.get();
    return token == null ? "" : token;
  }

  /** Metadata that passes a bearer token on. */
  public static Metadata bearer(String token) {
    Metadata headers = new Metadata();
    headers.put(AUTHORIZATION, "Bearer " + token);
    return headers;
  }
}
