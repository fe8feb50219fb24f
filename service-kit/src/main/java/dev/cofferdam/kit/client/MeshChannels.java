package dev.cofferdam.kit.client;

import dev.cofferdam.kit.identity.MeshTls;
import io.grpc.ManagedChannel;
import io.grpc.netty.NettyChannelBuilder;
import java.net.InetSocketAddress;
import java.util.concurrent.TimeUnit;

/** Channels to other services of the mesh, each held to the service that is expected at its end. */
public final class MeshChannels {
  private final MeshTls tls;

  public MeshChannels(MeshTls tls) {
    this.tls = tls;
  }

  /**
   * Connects at the first call and again whenever the connection is lost. The caller shuts it down.
   *
   * @param expectedService the service's name in the peer's certificate
   */
  public ManagedChannel to(InetSocketAddress target, String expectedService) {
    String host = target.getHostString();
    return NettyChannelBuilder.forTarget(
            "dns:///" + (host.indexOf(':') >= 0 ? "[" + host + "]" : host) + ":" + target.getPort())
        .sslContext(tls.client(expectedService))
        .keepAliveTime(20, TimeUnit.SECONDS)
        .keepAliveTimeout(10, TimeUnit.SECONDS)
        .keepAliveWithoutCalls(true)
        .maxInboundMessageSize(4 << 20)
        .build();
  }
}
