package dev.cofferdam.edge.mesh;

import dev.cofferdam.kit.buffer.ZeroingAllocator;
import dev.cofferdam.kit.client.Reconnects;
import dev.cofferdam.v1.SshKeyServiceGrpc;
import io.grpc.Channel;
import io.grpc.ClientInterceptors;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.netty.GrpcSslContexts;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.stub.MetadataUtils;
import io.netty.buffer.ByteBufAllocator;
import io.netty.channel.ChannelOption;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLException;

/**
 * The two connections that every tenant's client has. There is no certificate of the edge's own
 * behind them: what a caller's token may not, the edge may not.
 */
public final class MeshClient implements AutoCloseable {
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  private static final long SIGNED_SECONDS = 10;

  private final Channel api;
  private final Channel broker;
  private final Runnable closer;

  private MeshClient(Channel api, Channel broker, Runnable closer) {
    this.api = api;
    this.broker = broker;
    this.closer = closer;
  }

  /** Over channels that are somebody else's to close. */
  public static MeshClient over(Channel api, Channel broker) {
    return new MeshClient(api, broker, () -> {});
  }

  /**
   * @param authority PEM, what both are verified with, by host name
   */
  public static MeshClient connect(
      InetSocketAddress api, InetSocketAddress broker, Path authority) {
    ManagedChannel toApi = channel(api, authority, ByteBufAllocator.DEFAULT);
    // Values go through these buffers.
    ManagedChannel toBroker = channel(broker, authority, new ZeroingAllocator());
    return new MeshClient(
        toApi,
        toBroker,
        () -> {
          toApi.shutdownNow();
          toBroker.shutdownNow();
        });
  }

  private static ManagedChannel channel(
      InetSocketAddress address, Path authority, ByteBufAllocator buffers) {
    try {
      ManagedChannel channel =
          NettyChannelBuilder.forTarget(
                  "dns:///" + address.getHostString() + ":" + address.getPort())
              .sslContext(
                  GrpcSslContexts.forClient()
                      .trustManager(authority.toFile())
                      .protocols("TLSv1.3")
                      .build())
              .withOption(ChannelOption.ALLOCATOR, buffers)
              .keepAliveTime(20, TimeUnit.SECONDS)
              .keepAliveTimeout(10, TimeUnit.SECONDS)
              .build();
      Reconnects.watch(channel, CompletableFuture.delayedExecutor(1, TimeUnit.SECONDS));
      return channel;
    } catch (SSLException e) {
      throw new IllegalStateException("cannot set up TLS with " + authority, e);
    }
  }

  public Tenant tenant(DenoToken token) {
    return new Tenant(
        with(api, token.api()), token.secrets().map(secrets -> with(broker, secrets)));
  }

  /** For who shows no token: what a client signed is proof enough. */
  public SshKeyServiceGrpc.SshKeyServiceBlockingV2Stub anonymousSshKeys() {
    return SshKeyServiceGrpc.newBlockingV2Stub(api)
        .withDeadlineAfter(SIGNED_SECONDS, TimeUnit.SECONDS);
  }

  private static Channel with(Channel channel, String token) {
    Metadata headers = new Metadata();
    headers.put(AUTHORIZATION, "Bearer " + token);
    return ClientInterceptors.intercept(
        channel, MetadataUtils.newAttachHeadersInterceptor(headers));
  }

  @Override
  public void close() {
    closer.run();
  }
}
