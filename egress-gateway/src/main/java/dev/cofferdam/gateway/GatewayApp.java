package dev.cofferdam.gateway;

import dev.cofferdam.gateway.api.GatewayEndpoint;
import dev.cofferdam.gateway.broker.AttachmentSync;
import dev.cofferdam.gateway.broker.BrokerClient;
import dev.cofferdam.gateway.broker.DecisionLine;
import dev.cofferdam.gateway.dns.DnsAnswers;
import dev.cofferdam.gateway.event.Decisions;
import dev.cofferdam.gateway.event.EventSpool;
import dev.cofferdam.gateway.event.Faults;
import dev.cofferdam.gateway.event.Reporter;
import dev.cofferdam.gateway.policy.AddressRules;
import dev.cofferdam.gateway.proxy.ConnectionMeters;
import dev.cofferdam.gateway.proxy.ExchangeMeters;
import dev.cofferdam.gateway.proxy.Limits;
import dev.cofferdam.gateway.proxy.Surroundings;
import dev.cofferdam.gateway.proxy.UpstreamsByLoop;
import dev.cofferdam.gateway.slot.LeaseWatch;
import dev.cofferdam.gateway.slot.PolicyLease;
import dev.cofferdam.gateway.slot.SlotTable;
import dev.cofferdam.gateway.tls.KeyReservoir;
import dev.cofferdam.gateway.tls.SandboxCertificates;
import dev.cofferdam.gateway.tls.UpstreamTls;
import dev.cofferdam.internal.v1.SyncStart;
import dev.cofferdam.kit.admin.AdminServer;
import dev.cofferdam.kit.app.Parts;
import dev.cofferdam.kit.buffer.ZeroingAllocator;
import dev.cofferdam.kit.client.MeshChannels;
import dev.cofferdam.kit.identity.MeshTls;
import dev.cofferdam.kit.server.RpcServer;
import dev.cofferdam.kit.upstream.HostsFile;
import dev.cofferdam.kit.upstream.OwnAddresses;
import io.grpc.ManagedChannel;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import io.netty.handler.ssl.ClientAuth;
import io.netty.handler.ssl.SslContext;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;

/** The gateway, wired. Closed in reverse order. */
public final class GatewayApp implements AutoCloseable {
  /** Below the five seconds that a node gives an attachment in all. */
  private static final Duration STREAM_PATIENCE = Duration.ofSeconds(3);

  /**
   * Issuers are signed that much after an attachment: until then the create that caused it needs
   * the processor. A connection that comes sooner has its issuer signed at once.
   */
  private static final Duration AFTER_ATTACH = Duration.ofMillis(250);

  private final Parts parts = new Parts();

  private GatewayApp() {}

  /**
   * Starts everything; guests are let in once the broker has told who they are, which may be later.
   *
   * @param sockets empty where it serves as an explicit proxy alone
   * @param failed told when guests cannot be let in after all: the process is of no use then
   */
  public static GatewayApp start(
      GatewayConfig config, Optional<InheritedSockets> sockets, Consumer<Throwable> failed)
      throws IOException {
    GatewayApp app = new GatewayApp();
    try {
      app.wire(config, sockets, failed);
      return app;
    } catch (IOException | RuntimeException e) {
      app.close();
      throw e;
    }
  }

  private void wire(
      GatewayConfig config, Optional<InheritedSockets> sockets, Consumer<Throwable> failed)
      throws IOException {
    Optional<SslContext> proxyTls =
        config
            .explicitProxy()
            .flatMap(ExplicitProxySettings::tls)
            .map(ExplicitProxySettings.Identity::context);
    Clock clock = Clock.systemUTC();
    PrometheusMeterRegistry meters =
        parts.add(
            new PrometheusMeterRegistry(PrometheusConfig.DEFAULT), PrometheusMeterRegistry::close);
    ExecutorService blocking =
        parts.add(Executors.newVirtualThreadPerTaskExecutor(), ExecutorService::shutdownNow);
    MeshTls tls = parts.add(MeshTls.open(config.tls()), MeshTls::close);
    tls.bindTo(meters);
    ManagedChannel channel =
        parts.add(
            // Values come back through these buffers, in clear once TLS was taken off.
            new MeshChannels(tls, new ZeroingAllocator())
                .to(config.brokerAddress(), "vault-broker"),
            ManagedChannel::shutdownNow);
    BrokerClient broker = new BrokerClient(channel, meters);

    EventSpool spool =
        parts.add(
            new EventSpool(
                config.stateDirectory().resolve("spool"),
                config.spoolEvents(),
                UUID.randomUUID().toString()),
            EventSpool::close);
    Decisions decisions = new Decisions(spool, clock, meters);
    parts.add(new Reporter(spool, decisions, new DecisionLine(broker)), Reporter::close);

    SlotTable slots = new SlotTable(new SecureRandom(), clock);
    Gauge.builder("cofferdam.gateway.sandboxes", slots, SlotTable::size)
        .description("Sandboxes that are attached")
        .register(meters);
    PolicyLease lease = new PolicyLease(System::nanoTime);
    parts.add(LeaseWatch.start(lease, slots), LeaseWatch::close);
    KeyReservoir keys = parts.add(new KeyReservoir(), KeyReservoir::close);
    SandboxCertificates certificates =
        new SandboxCertificates(broker::issue, keys, clock, blocking);
    Limits limits = limits(config);
    Faults faults = new Faults(meters, System::nanoTime);
    AddressRules rules =
        new AddressRules(
            config.hostsFile().map(HostsFile::read).orElseGet(HostsFile::empty),
            config.privateRanges(),
            config.firstMeshPort(),
            config.lastMeshPort(),
            new OwnAddresses(System::nanoTime));
    UpstreamsByLoop upstreams =
        new UpstreamsByLoop(
            new UpstreamTls(config.upstreamAuthorities()),
            rules,
            resolvers(config.resolvers()),
            limits,
            clock,
            config.upstreamProxy().map(UpstreamProxySettings::open),
            new ConnectionMeters(meters, faults));
    Surroundings surroundings =
        new Surroundings(
            slots,
            lease,
            decisions,
            certificates,
            broker,
            upstreams,
            limits,
            blocking,
            new SecureRandom(),
            meters,
            new ExchangeMeters(meters),
            faults);
    AtomicBoolean open = new AtomicBoolean();
    Listeners listeners = parts.add(new Listeners(limits), Listeners::close);
    Executor soon =
        CompletableFuture.delayedExecutor(AFTER_ATTACH.toMillis(), TimeUnit.MILLISECONDS, blocking);
    AttachmentSync sync =
        parts.add(
            new AttachmentSync(
                broker,
                slots,
                lease,
                attachment -> soon.execute(() -> certificates.prepare(attachment)),
                SyncStart.newBuilder()
                    .setProcess(UUID.randomUUID().toString())
                    .setProxyAddress(
                        config.explicitProxy().map(ExplicitProxySettings::address).orElse(""))
                    .setProxyTls(proxyTls.isPresent())
                    .build()),
            AttachmentSync::close);
    parts.add(
        AdminServer.start(
            config.adminListen(),
            meters,
            Map.of(
                "attachments",
                () ->
                    slots.synchronised()
                        ? Optional.empty()
                        : Optional.of("the broker has not told who is attached"),
                "listeners",
                () -> open.get() ? Optional.empty() : Optional.of("no guest is let in yet"),
                "lease",
                () -> lease.expired() ? Optional.of("expired") : Optional.empty())),
        AdminServer::close);
    parts.add(
        RpcServer.builder("control", config.controlListen())
            .tls(tls.server(ClientAuth.REQUIRE), tls.trustDomain())
            .rules(GatewayEndpoint.rules())
            .meters(meters)
            .service(new GatewayEndpoint(broker, slots, STREAM_PATIENCE))
            .start(),
        RpcServer::close);
    // Until then connections wait in the kernel's queue: a policy is loaded before the first
    // accept.
    blocking.execute(() -> {
      try {
        sync.awaitFirst();
        if (sockets.isPresent()) {
          listeners.adopt(sockets.get(), surroundings, new DnsAnswers(slots, decisions, faults));
        }
        if (config.explicitProxy().isPresent()) {
          InetSocketAddress listen = config.explicitProxy().get().listen();
          listeners.listenProxy(
              new InetSocketAddress(listen.getHostString(), listen.getPort()),
              surroundings,
              proxyTls);
        }
        open.set(true);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      } catch (Throwable e) {
        // Also what Netty throws unchecked and undeclared: on a thread of its own it would be lost.
        failed.accept(e);
      }
    });
  }

  static Limits limits(GatewayConfig config) {
    return new Limits(
        config.headerBytes(),
        config.bodyScanBytes(),
        config.connectionsPerSandbox(),
        config.materialisationsPerSandbox(),
        config.headerTimeout(),
        config.idleTimeout(),
        config.connectTimeout(),
        config.answerTimeout());
  }

  private static List<InetSocketAddress> resolvers(List<String> servers) {
    return servers.stream()
        .map(server -> {
          int colon = server.lastIndexOf(':');
          return colon < 0
              ? new InetSocketAddress(server, 53)
              : new InetSocketAddress(
                  server.substring(0, colon), Integer.parseInt(server.substring(colon + 1)));
        })
        .toList();
  }

  @Override
  public void close() {
    parts.close();
  }
}
