package dev.cofferdam.node.api;

import dev.cofferdam.kit.relay.OpaqueRelay;
import dev.cofferdam.node.sandbox.Relay;
import dev.cofferdam.node.sandbox.Sandboxes;
import io.grpc.CallOptions;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import java.time.Duration;

/**
 * Sends process, file and port calls to the sandbox's guest, with the token that its agent asks
 * for.
 */
public final class GuestRouter implements OpaqueRelay.Router {
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  /**
   * While the link is being made again, after a restart of the helper or of us, a call waits rather
   * than fails; for a guest whose agent is dead it must not wait for ever.
   */
  private static final Duration PATIENCE = Duration.ofSeconds(10);

  private final Sandboxes sandboxes;

  public GuestRouter(Sandboxes sandboxes) {
    this.sandboxes = sandboxes;
  }

  @Override
  public OpaqueRelay.Route route(String sandbox, MethodDescriptor<?, ?> method) {
    Relay relay = sandboxes.states().reach(sandbox);
    Metadata headers = new Metadata();
    headers.put(AUTHORIZATION, "Bearer " + relay.token());
    return new OpaqueRelay.Route(relay.guest().connected(PATIENCE), CallOptions.DEFAULT, headers);
  }
}
