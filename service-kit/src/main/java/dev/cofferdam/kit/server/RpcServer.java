package dev.cofferdam.kit.server;

import dev.cofferdam.kit.call.CallRules;
import dev.cofferdam.kit.call.CallerInterceptor;
import dev.cofferdam.kit.call.TokenVerifier;
import io.grpc.BindableService;
import io.grpc.Server;
import io.grpc.ServerInterceptors;
import io.grpc.ServerServiceDefinition;
import io.grpc.Status;
import io.grpc.netty.NettyServerBuilder;
import io.grpc.protobuf.services.HealthStatusManager;
import io.grpc.protobuf.services.ProtoReflectionServiceV1;
import io.micrometer.core.instrument.MeterRegistry;
import io.netty.buffer.ByteBufAllocator;
import io.netty.channel.ChannelOption;
import io.netty.handler.ssl.SslContext;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One gRPC listener with what each has: callers held to rules, refusals mapped to statuses,
 * metrics, health and reflection. Handlers run on a virtual thread a call and may block.
 */
public final class RpcServer implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(RpcServer.class);

  private final Server server;
  private final HealthStatusManager health;
  private final OpenCalls calls;
  private final ExecutorService executor;

  private RpcServer(
      Server server, HealthStatusManager health, OpenCalls calls, ExecutorService executor) {
    this.server = server;
    this.health = health;
    this.calls = calls;
    this.executor = executor;
  }

  /**
   * @param name of the listener, for metrics and logs
   * @param address port 0 picks a free one
   */
  public static Builder builder(String name, InetSocketAddress address) {
    return new Builder(name, address);
  }

  /** The port that it listens on. */
  public int port() {
    return server.getPort();
  }

  /** Refuses new calls, gives open ones 2 s, then ends them with UNAVAILABLE. */
  @Override
  public void close() {
    health.enterTerminalState();
    server.shutdown();
    try {
      if (!server.awaitTermination(2, TimeUnit.SECONDS)) {
        calls.end(Status.UNAVAILABLE.withDescription("the service is stopping"));
        if (!server.awaitTermination(1, TimeUnit.SECONDS)) {
          server.shutdownNow();
          server.awaitTermination(2, TimeUnit.SECONDS);
        }
      }
    } catch (InterruptedException e) {
      server.shutdownNow();
      Thread.currentThread().interrupt();
    }
    executor.shutdownNow();
  }

  public static final class Builder {
    /** Requests are small; what is large is a stream of chunks. */
    private static final int DEFAULT_MAX_MESSAGE = 1 << 20;

    private final String name;
    private final InetSocketAddress address;
    private final List<ServerServiceDefinition> services = new ArrayList<>();
    private CallRules rules = CallRules.builder().build();
    private TokenVerifier tokens = TokenVerifier.none();
    private String trustDomain = "";
    private SslContext tls;
    private MeterRegistry meters;
    private Optional<ByteBufAllocator> allocator = Optional.empty();
    private int maxMessageBytes = DEFAULT_MAX_MESSAGE;

    @SuppressWarnings("NullAway.Init") // start() refuses to go on without TLS and meters
    private Builder(String name, InetSocketAddress address) {
      this.name = name;
      this.address = address;
    }

    public Builder tls(SslContext tls, String trustDomain) {
      this.tls = tls;
      this.trustDomain = trustDomain;
      return this;
    }

    public Builder meters(MeterRegistry meters) {
      this.meters = meters;
      return this;
    }

    public Builder rules(CallRules rules) {
      this.rules = rules;
      return this;
    }

    public Builder tokens(TokenVerifier tokens) {
      this.tokens = tokens;
      return this;
    }

    public Builder service(BindableService service) {
      return service(service.bindService());
    }

    public Builder service(ServerServiceDefinition service) {
      services.add(service);
      return this;
    }

    /** What connections take their buffers from. By default gRPC's own pool. */
    public Builder allocator(ByteBufAllocator allocator) {
      this.allocator = Optional.of(allocator);
      return this;
    }

    /** Of one received message. Default 1 MiB. */
    public Builder maxMessageBytes(int bytes) {
      this.maxMessageBytes = bytes;
      return this;
    }

    /**
     * @throws IllegalStateException for a method without a rule, or without TLS or meters
     * @throws IOException when the address cannot be had
     */
    @SuppressWarnings("NullAway") // tls and meters are looked at here for the first time
    public RpcServer start() throws IOException {
      if (tls == null || meters == null) {
        throw new IllegalStateException("listener " + name + " needs tls and meters");
      }
      List<String> missing = rules.missing(services);
      if (!missing.isEmpty()) {
        throw new IllegalStateException("listener " + name + ": no callers named for " + missing);
      }
      ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor();
      HealthStatusManager health = new HealthStatusManager();
      NettyServerBuilder builder =
          NettyServerBuilder.forAddress(resolved(address))
              .sslContext(tls)
              .executor(executor)
              .maxInboundMessageSize(maxMessageBytes)
              .maxInboundMetadataSize(16 << 10)
              .maxConcurrentCallsPerConnection(1000)
              // A peer that vanished without a word is noticed within half a minute.
              .keepAliveTime(20, TimeUnit.SECONDS)
              .keepAliveTimeout(10, TimeUnit.SECONDS)
              .permitKeepAliveTime(5, TimeUnit.SECONDS)
              .permitKeepAliveWithoutCalls(true)
              .addTransportFilter(CallerInterceptor.peers(trustDomain))
              .addService(health.getHealthService())
              .addService(ProtoReflectionServiceV1.newInstance());
      allocator.ifPresent(own -> builder.withChildOption(ChannelOption.ALLOCATOR, own));
      OpenCalls calls = new OpenCalls();
      CallerInterceptor callers = new CallerInterceptor(rules, tokens);
      for (ServerServiceDefinition service : services) {
        // The last one listed runs first: metrics see refused calls too.
        builder.addService(
            ServerInterceptors.intercept(
                service, new RefusalInterceptor(), callers, calls, new CallMetrics(meters, name)));
      }
      Server server = builder.build();
      try {
        server.start();
      } catch (IOException e) {
        executor.shutdownNow();
        throw new IOException(
            "listener %s cannot have %s: %s".formatted(name, address, e.getMessage()), e);
      }
      log.atInfo()
          .setMessage("listener_started")
          .addKeyValue("listener", name)
          .addKeyValue("port", server.getPort())
          .log();
      return new RpcServer(server, health, calls, executor);
    }

    private static InetSocketAddress resolved(InetSocketAddress address)
        throws UnknownHostException {
      return address.isUnresolved()
          ? new InetSocketAddress(InetAddress.getByName(address.getHostString()), address.getPort())
          : address;
    }
  }
}
