package dev.cofferdam.loadtest;

import dev.cofferdam.internal.v1.AttachSlotRequest;
import dev.cofferdam.internal.v1.CreateGrantsRequest;
import dev.cofferdam.internal.v1.CreateGrantsResponse;
import dev.cofferdam.internal.v1.DetachSlotRequest;
import dev.cofferdam.internal.v1.GatewayServiceGrpc;
import dev.cofferdam.internal.v1.GrantServiceGrpc;
import dev.cofferdam.internal.v1.RevokeGrantsRequest;
import dev.cofferdam.kit.call.Callers;
import dev.cofferdam.kit.client.MeshChannels;
import dev.cofferdam.kit.identity.MeshTls;
import dev.cofferdam.kit.identity.TlsFiles;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.SecretReference;
import io.grpc.ManagedChannel;
import io.grpc.stub.MetadataUtils;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * The mesh's own calls, with the identities of its scheduler and its node. No VM has part in them,
 * and their slots are far beyond those that a node gives out.
 */
final class MeshCalls implements AutoCloseable {
  static final String HOST = "api.echo.test";

  /** 100.80.250.1 and on. */
  static final int MAX_SLOTS = 250;

  private static final String TRUST_DOMAIN = "cofferdam.local";
  private static final String NODE = "local";
  private static final int BROKER_PORT = 10;
  private static final int GATEWAY_PORT = 30;
  private static final long CALL_SECONDS = 30;

  private final Deque<Runnable> open = new ArrayDeque<>();
  private final GrantServiceGrpc.GrantServiceBlockingStub broker;
  private final GatewayServiceGrpc.GatewayServiceBlockingStub gateway;

  private MeshCalls(Map<String, String> environment) {
    Path state = Path.of(Api.required(environment, "COFFERDAM_STATE"));
    Path authority = Path.of(Api.required(environment, "COFFERDAM_CA"));
    String api = Api.required(environment, "COFFERDAM_API");
    int base = Integer.parseInt(api.substring(api.lastIndexOf(':') + 1));
    broker =
        GrantServiceGrpc.newBlockingStub(
                channel(state, "scheduler", authority, base + BROKER_PORT, "vault-broker"))
            .withInterceptors(
                MetadataUtils.newAttachHeadersInterceptor(
                    Callers.bearer(Api.required(environment, "COFFERDAM_TOKEN"))));
    gateway =
        GatewayServiceGrpc.newBlockingStub(
            channel(state, "node", authority, base + GATEWAY_PORT, "egress-gateway"));
  }

  /** From the variables that {@code cofferdam env} exports, and the mesh's state directory. */
  static MeshCalls open(Map<String, String> environment) {
    return new MeshCalls(environment);
  }

  private ManagedChannel channel(Path state, String as, Path authority, int port, String service) {
    MeshTls tls =
        MeshTls.open(
            new TlsFiles(
                state.resolve(as).resolve("tls.pem"),
                state.resolve(as).resolve("tls.key"),
                authority,
                TRUST_DOMAIN));
    open.push(tls::close);
    ManagedChannel channel =
        new MeshChannels(tls).to(InetSocketAddress.createUnresolved("127.0.0.1", port), service);
    open.push(channel::shutdownNow);
    return channel;
  }

  /** The calls of one sandbox's life, in nanoseconds each. */
  record Cycle(long createGrants, long attachSlot, long detachSlot, long revokeGrants) {}

  /**
   * @param slot below {@link #MAX_SLOTS}
   */
  Cycle cycle(String sandbox, String secret, int slot) {
    String address = "100.80.250." + (slot + 1);
    long begin = System.nanoTime();
    CreateGrantsResponse granted =
        broker()
            .createGrants(
                CreateGrantsRequest.newBuilder()
                    .setSandbox(sandbox)
                    .setNode(NODE)
                    .setEpoch(1)
                    .addSecrets(SecretReference.newBuilder().setSecret(secret))
                    .setPolicy(
                        EgressPolicy.newBuilder().addRules(EgressRule.newBuilder().setHost(HOST)))
                    .build());
    long created = System.nanoTime();
    var _ =
        gateway()
            .attachSlot(
                AttachSlotRequest.newBuilder()
                    .setSandbox(sandbox)
                    .setSlotAddress(address)
                    .setTicket(granted.getAttachTicket())
                    .build());
    long attached = System.nanoTime();
    var _ =
        gateway()
            .detachSlot(
                DetachSlotRequest.newBuilder()
                    .setSandbox(sandbox)
                    .setSlotAddress(address)
                    .setEpoch(1)
                    .build());
    long detached = System.nanoTime();
    var _ = broker().revokeGrants(RevokeGrantsRequest.newBuilder().setSandbox(sandbox).build());
    return new Cycle(
        created - begin, attached - created, detached - attached, System.nanoTime() - detached);
  }

  private GrantServiceGrpc.GrantServiceBlockingStub broker() {
    return broker.withDeadlineAfter(CALL_SECONDS, TimeUnit.SECONDS);
  }

  private GatewayServiceGrpc.GatewayServiceBlockingStub gateway() {
    return gateway.withDeadlineAfter(CALL_SECONDS, TimeUnit.SECONDS);
  }

  @Override
  public void close() {
    while (!open.isEmpty()) {
      open.pop().run();
    }
  }
}
