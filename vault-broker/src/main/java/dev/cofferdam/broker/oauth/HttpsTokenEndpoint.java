package dev.cofferdam.broker.oauth;

import dev.cofferdam.broker.policy.OAuth;
import dev.cofferdam.broker.secret.SecretValue;
import dev.cofferdam.kit.buffer.ZeroingAllocator;
import dev.cofferdam.kit.upstream.AddressGate;
import dev.cofferdam.kit.upstream.OwnAddresses;
import dev.cofferdam.kit.upstream.TrustedRoots;
import dev.cofferdam.kit.upstream.UpstreamNames;
import io.netty.bootstrap.Bootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelHandler;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.nio.NioDatagramChannel;
import io.netty.channel.socket.nio.NioSocketChannel;
import io.netty.handler.codec.http.HttpDecoderConfig;
import io.netty.handler.codec.http.HttpResponseDecoder;
import io.netty.handler.ssl.OpenSsl;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.handler.ssl.SslHandler;
import io.netty.handler.ssl.SslProvider;
import io.netty.resolver.dns.DnsNameResolver;
import io.netty.util.concurrent.Future;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import javax.net.ssl.SSLException;

/**
 * Over HTTPS, verified, chain and name, at an address that may be connected to; without redirects.
 * The secret and the token pass through buffers outside of the heap that are zeroed.
 */
public final class HttpsTokenEndpoint implements TokenEndpoint, AutoCloseable {
  private static final int MAX_LINE = 4096;
  private static final int MAX_HEAD = 16_384;
  private static final int MAX_PIECE = 8192;

  /** For a DNS server's answer. */
  private static final Duration RESOLVE = Duration.ofSeconds(2);

  /** To one address; a name may have more. */
  private static final long CONNECT_SECONDS = 2;

  private final OAuthSettings settings;
  private final AddressGate gate;
  private final SslContext tls;
  private final ZeroingAllocator buffers = new ZeroingAllocator();
  private final EventLoopGroup loops;
  private final DnsNameResolver resolver;

  /**
   * @throws IllegalArgumentException naming the file of authorities that cannot be used
   */
  public HttpsTokenEndpoint(OAuthSettings settings) {
    this.settings = settings;
    this.gate =
        new AddressGate(
            settings.firstMeshPort(), settings.lastMeshPort(), new OwnAddresses(System::nanoTime));
    try {
      this.tls =
          SslContextBuilder.forClient()
              .sslProvider(OpenSsl.isAvailable() ? SslProvider.OPENSSL : SslProvider.JDK)
              .trustManager(TrustedRoots.systemAnd(settings.authorities()))
              .endpointIdentificationAlgorithm("HTTPS")
              .protocols("TLSv1.3", "TLSv1.2")
              .build();
    } catch (SSLException e) {
      throw new IllegalArgumentException("cannot set up TLS: " + e.getMessage(), e);
    }
    ThreadFactory threads = Thread.ofPlatform().daemon().name("tokens-", 0).factory();
    this.loops = new MultiThreadIoEventLoopGroup(1, threads, NioIoHandler.newFactory());
    this.resolver =
        UpstreamNames.resolver(
            loops.next(),
            NioDatagramChannel.class,
            NioSocketChannel.class,
            settings.resolvers(),
            RESOLVE);
  }

  @Override
  public void close() {
    resolver.close();
    var _ = loops.shutdownGracefully(0, 1, TimeUnit.SECONDS);
  }

  @Override
  public Connection connect(OAuth client, Duration within) {
    long end = System.nanoTime() + within.toNanos();
    for (InetAddress address : addresses(client, end)) {
      Optional<Channel> connected = connect(client, address, end);
      if (connected.isPresent()) {
        return new Verified(client, connected.get(), end);
      }
    }
    throw TokenException.unavailable("the token endpoint does not take a connection");
  }

  private List<InetAddress> addresses(OAuth client, long end) {
    List<InetAddress> pinned = settings.hosts().addresses(client.host());
    // With the dot it is absolute, and no search list of this host applies.
    List<InetAddress> resolved =
        pinned.isEmpty()
            ? done(
                resolver.resolveAll(client.host() + "."),
                end,
                "the token endpoint's name is not resolved")
            : pinned;
    List<InetAddress> permitted = new ArrayList<>();
    Optional<String> why = Optional.empty();
    for (InetAddress address : resolved) {
      Optional<String> refusal = gate.refuse(address, client.port(), !pinned.isEmpty());
      if (refusal.isEmpty()) {
        permitted.add(address);
      } else {
        why = refusal;
      }
    }
    if (permitted.isEmpty()) {
      throw TokenException.unavailable(
          "the token endpoint is at an address that is not allowed: " + why.orElse("none"));
    }
    return permitted;
  }

  private Optional<Channel> connect(OAuth client, InetAddress address, long end) {
    SslHandler handler = tls.newHandler(buffers, client.host(), client.port());
    handler.setHandshakeTimeoutMillis(millisTo(end));
    // Each write is encrypted from its own buffer: gathering several would copy the secret.
    handler.setWrapDataSize(0);
    ChannelFuture connecting =
        new Bootstrap()
            .group(loops)
            .channel(NioSocketChannel.class)
            .option(ChannelOption.ALLOCATOR, buffers)
            .option(
                ChannelOption.CONNECT_TIMEOUT_MILLIS,
                (int) Math.min(millisTo(end), TimeUnit.SECONDS.toMillis(CONNECT_SECONDS)))
            .handler(handlers(handler))
            .connect(new InetSocketAddress(address, client.port()));
    Channel channel = connecting.channel();
    try {
      if (!connecting.await(millisTo(end)) || !connecting.isSuccess()) {
        var _ = channel.close();
        return Optional.empty();
      }
    } catch (InterruptedException e) {
      var _ = channel.close();
      throw interrupted();
    }
    try {
      var _ =
          done(handler.handshakeFuture(), end, "no verified TLS connection to the token endpoint");
      return Optional.of(channel);
    } catch (TokenException e) {
      var _ = channel.close();
      throw e;
    }
  }

  private static ChannelHandler handlers(SslHandler tls) {
    return new ChannelInitializer<Channel>() {
      @Override
      protected void initChannel(Channel channel) {
        channel
            .pipeline()
            .addLast(
                tls,
                new HttpResponseDecoder(
                    new HttpDecoderConfig()
                        .setMaxInitialLineLength(MAX_LINE)
                        .setMaxHeaderSize(MAX_HEAD)
                        .setMaxChunkSize(MAX_PIECE)),
                new TokenAnswerHandler());
      }
    };
  }

  private static <T> T done(Future<T> future, long end, String otherwise) {
    try {
      if (future.await(millisTo(end)) && future.isSuccess()) {
        return future.getNow();
      }
      throw TokenException.unavailable(otherwise);
    } catch (InterruptedException e) {
      throw interrupted();
    }
  }

  private static TokenException interrupted() {
    Thread.currentThread().interrupt();
    return TokenException.unavailable("the broker stops");
  }

  private static long millisTo(long end) {
    return Math.max(1, TimeUnit.NANOSECONDS.toMillis(end - System.nanoTime()));
  }

  private final class Verified implements Connection {
    private final OAuth client;
    private final Channel channel;
    private final long end;

    Verified(OAuth client, Channel channel, long end) {
      this.client = client;
      this.channel = channel;
      this.end = end;
    }

    @Override
    public AccessToken ask(SecretValue secret) {
      CompletableFuture<AccessToken> answer =
          channel.pipeline().get(TokenAnswerHandler.class).answer();
      var _ =
          channel
              .writeAndFlush(TokenRequest.write(client, secret, buffers))
              .addListener(written -> {
                if (!written.isSuccess()) {
                  answer.completeExceptionally(
                      TokenException.unavailable("the token endpoint took no request"));
                }
              });
      try {
        return answer.get(millisTo(end), TimeUnit.MILLISECONDS);
      } catch (TimeoutException e) {
        TokenException late =
            TokenException.unavailable("the token endpoint did not answer in time");
        if (answer.completeExceptionally(late)) {
          throw late;
        }
        return answer.join();
      } catch (InterruptedException e) {
        TokenException stopped = interrupted();
        if (!answer.completeExceptionally(stopped) && !answer.isCompletedExceptionally()) {
          answer.join().close();
        }
        throw stopped;
      } catch (ExecutionException e) {
        throw e.getCause() instanceof TokenException why
            ? why
            : TokenException.unavailable("the token endpoint's answer cannot be read");
      }
    }

    @Override
    public void close() {
      var _ = channel.close();
    }
  }
}
