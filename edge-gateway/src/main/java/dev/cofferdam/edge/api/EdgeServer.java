package dev.cofferdam.edge.api;

import com.linecorp.armeria.common.HttpRequest;
import com.linecorp.armeria.common.HttpResponse;
import com.linecorp.armeria.server.HttpService;
import com.linecorp.armeria.server.Server;
import com.linecorp.armeria.server.ServerBuilder;
import com.linecorp.armeria.server.ServiceRequestContext;
import dev.cofferdam.edge.head.CarriedHeads;
import dev.cofferdam.edge.head.FirstHead;
import dev.cofferdam.edge.mesh.MeshClient;
import dev.cofferdam.edge.port.ExposedHosts;
import dev.cofferdam.edge.sandbox.Sandboxes;
import dev.cofferdam.edge.session.MemoryBudget;
import dev.cofferdam.edge.session.SessionContext;
import dev.cofferdam.edge.session.SessionLimits;
import dev.cofferdam.edge.ssh.SshGateway;
import dev.cofferdam.edge.volume.Snapshots;
import dev.cofferdam.edge.volume.Volumes;
import dev.cofferdam.kit.buffer.ZeroingAllocator;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.netty.channel.ChannelOption;
import java.net.InetSocketAddress;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Executor;
import java.util.concurrent.Semaphore;

/** The HTTP server of the SDKs' endpoints. */
public final class EdgeServer implements AutoCloseable {
  /** Of what is left of a head once its configuration was taken out. */
  private static final int HEAD = 16 << 10;

  private static final int BODY = 16 << 10;
  private static final int CONNECTIONS = 4096;

  /** Of heads beyond 16 KiB, 1 MiB each by default. */
  private static final int LARGE_HEADS = 32;

  private static final int TRACE_BYTES = 16;

  private final Server server;
  private final Sessions sessions;
  private final CarriedHeads carried;
  private final MemoryBudget memory;

  private EdgeServer(Server server, Sessions sessions, CarriedHeads carried, MemoryBudget memory) {
    this.server = server;
    this.sessions = sessions;
    this.carried = carried;
    this.memory = memory;
  }

  /**
   * What a server may be asked for.
   *
   * @param configBytes of a request's head, with a create's configuration in it
   * @param headTimeout from a connection's begin to its first head's end
   * @param sessions sockets at a time
   * @param pageSize of lists
   * @param memoryBytes that all sockets together may hold
   */
  public record Limits(
      int configBytes,
      Duration headTimeout,
      int sessions,
      int pageSize,
      int memoryBytes,
      SessionLimits session) {}

  /**
   * @param threads makes a thread for each task
   */
  public static EdgeServer start(
      InetSocketAddress listen,
      Limits limits,
      MeshClient mesh,
      Sandboxes sandboxes,
      Volumes volumes,
      Snapshots snapshots,
      ExposedHosts hosts,
      Optional<SshGateway> ssh,
      List<SessionContext.PartFactory> parts,
      Executor threads,
      SecureRandom random,
      MeterRegistry meters) {
    CarriedHeads carried = new CarriedHeads(random);
    Sessions sessions =
        new Sessions(
            sandboxes, limits.session(), parts, threads, random.nextLong(1L << 40), meters);
    MemoryBudget memory = new MemoryBudget(limits.memoryBytes());
    Gauge.builder("cofferdam.edge.memory", memory, MemoryBudget::held)
        .baseUnit("bytes")
        .description("What all sockets together hold of their clients' and for them")
        .register(meters);
    FunctionCounter.builder("cofferdam.edge.evictions", memory, MemoryBudget::ended)
        .description("Sockets that were ended because all together held too much")
        .register(meters);
    SandboxSockets sockets =
        new SandboxSockets(
            mesh,
            sandboxes,
            carried,
            sessions,
            memory,
            threads,
            limits.sessions(),
            limits.session().messageBytes());
    Semaphore large = new Semaphore(LARGE_HEADS);
    ServerBuilder builder =
        Server.builder()
            .http(new InetSocketAddress(listen.getHostString(), listen.getPort()))
            .childChannelOption(ChannelOption.ALLOCATOR, new ZeroingAllocator())
            .childChannelPipelineCustomizer(pipeline ->
                pipeline.addFirst(
                    new FirstHead(carried, limits.configBytes(), limits.headTimeout(), large)))
            .maxNumConnections(CONNECTIONS)
            .http1MaxHeaderSize(HEAD)
            .http1MaxInitialLineLength(HEAD / 2)
            .maxRequestLength(BODY)
            .requestTimeout(limits.headTimeout().plus(Duration.ofMinutes(3)))
            .idleTimeout(Duration.ofMinutes(5))
            .gracefulShutdownTimeout(Duration.ZERO, Duration.ofMillis(500))
            .disableServerHeader()
            .verboseResponses(false)
            .meterRegistry(meters)
            .decorator((delegate, context, request) -> traced(delegate, context, request, random))
            .service("/api/v3/sandboxes/create", sockets.create())
            .service("/api/v3/sandbox/{id}/connect", sockets.connect())
            .serviceUnder(
                "/",
                new RestService(
                    mesh, sandboxes, volumes, snapshots, hosts, ssh, threads, limits.pageSize()));
    Server server = builder.build();
    server.start().join();
    return new EdgeServer(server, sessions, carried, memory);
  }

  /** An id for people to name a request by. */
  private static HttpResponse traced(
      HttpService delegate, ServiceRequestContext context, HttpRequest request, SecureRandom random)
      throws Exception {
    byte[] trace = new byte[TRACE_BYTES];
    random.nextBytes(trace);
    context.addAdditionalResponseHeader(Answers.TRACE, HexFormat.of().formatHex(trace));
    return delegate.serve(context, request);
  }

  public int port() {
    return server.activeLocalPort();
  }

  /** Configurations that nobody has taken yet. */
  public int carried() {
    return carried.size();
  }

  /** What all sockets together hold. */
  public MemoryBudget memory() {
    return memory;
  }

  @Override
  public void close() {
    sessions.close();
    server.stop().join();
  }
}
