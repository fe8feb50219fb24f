package dev.cofferdam.kit.client;

import dev.cofferdam.kit.identity.MeshTls;
import io.grpc.ManagedChannel;
import io.grpc.netty.NettyChannelBuilder;
import io.netty.buffer.ByteBufAllocator;
import io.netty.channel.ChannelOption;
import java.net.InetSocketAddress;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** Channels to other services of the mesh, each held to the service that is expected at its end. */
public final class MeshChannels {
  private final MeshTls tls;
  private final ByteBufAllocator buffers;

  public MeshChannels(MeshTls tls) {
    this(tls, ByteBufAllocator.DEFAULT);
  }

  /**
   * @param buffers of the connections; for one that carries values, one that zeroes what it frees
   */
  public MeshChannels(MeshTls tls, ByteBufAllocator buffers) {
    this.tls = tls;
    this.buffers = buffers;
  }

  /**
   * Connects at the first call and again whenever the connection is lost, a second after it failed
   * at the latest. The caller shuts it down.
   *
   * @param expectedService the service's name in the peer's certificate
   */
  public ManagedChannel to(InetSocketAddress target, String expectedService) {
    String host = target.getHostString();
    ManagedChannel channel =
        NettyChannelBuilder.forTarget(
                "dns:///"
                    + (host.indexOf(':') >= 0 ? "[" + host + "]" : host)
                    + ":"
                    + target.getPort())
            .withOption(ChannelOption.ALLOCATOR, buffers)
            .sslContext(tls.client(expectedService))
            .keepAliveTime(20, TimeUnit.SECONDS)
            .keepAliveTimeout(10, TimeUnit.SECONDS)
            .keepAliveWithoutCalls(true)
            .maxInboundMessageSize(4 << 20)
            .build();
    Reconnects.watch(channel, CompletableFuture.delayedExecutor(1, TimeUnit.SECONDS));
    return channel;
  }
}
