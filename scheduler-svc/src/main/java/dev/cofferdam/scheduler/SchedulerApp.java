package dev.cofferdam.scheduler;

import dev.cofferdam.kit.admin.AdminServer;
import dev.cofferdam.kit.app.Parts;
import dev.cofferdam.kit.client.MeshChannels;
import dev.cofferdam.kit.identity.MeshTls;
import dev.cofferdam.kit.relay.OpaqueRelay;
import dev.cofferdam.kit.server.RpcServer;
import dev.cofferdam.scheduler.api.CallersOfMethods;
import dev.cofferdam.scheduler.api.CreateDefaults;
import dev.cofferdam.scheduler.api.EventWatches;
import dev.cofferdam.scheduler.api.NodeApi;
import dev.cofferdam.scheduler.api.NodeRegistryApi;
import dev.cofferdam.scheduler.api.PortKeyApi;
import dev.cofferdam.scheduler.api.SandboxApi;
import dev.cofferdam.scheduler.api.SnapshotApi;
import dev.cofferdam.scheduler.api.SshKeyApi;
import dev.cofferdam.scheduler.api.TemplateApi;
import dev.cofferdam.scheduler.api.TokenApi;
import dev.cofferdam.scheduler.api.VolumeApi;
import dev.cofferdam.scheduler.broker.BrokerClient;
import dev.cofferdam.scheduler.cluster.Cluster;
import dev.cofferdam.scheduler.lifecycle.Lifecycle;
import dev.cofferdam.scheduler.lifecycle.LifecycleConfig;
import dev.cofferdam.scheduler.lifecycle.Templates;
import dev.cofferdam.scheduler.relay.SandboxRouter;
import dev.cofferdam.scheduler.store.Database;
import dev.cofferdam.scheduler.store.DatabaseConfig;
import dev.cofferdam.scheduler.store.EventStore;
import dev.cofferdam.scheduler.store.NodeStore;
import dev.cofferdam.scheduler.store.PolicyUpdateStore;
import dev.cofferdam.scheduler.store.PortKeyStore;
import dev.cofferdam.scheduler.store.RequestStore;
import dev.cofferdam.scheduler.store.SandboxStore;
import dev.cofferdam.scheduler.store.SnapshotStore;
import dev.cofferdam.scheduler.store.SshKeyStore;
import dev.cofferdam.scheduler.store.TemplateStore;
import dev.cofferdam.scheduler.store.TokenStore;
import dev.cofferdam.scheduler.store.VolumeStore;
import dev.cofferdam.v1.FileServiceGrpc;
import dev.cofferdam.v1.PortServiceGrpc;
import dev.cofferdam.v1.ProcessServiceGrpc;
import io.grpc.ManagedChannel;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import io.netty.handler.ssl.ClientAuth;
import java.security.SecureRandom;
import java.time.InstantSource;
import java.util.Map;
import java.util.UUID;

/**
 * The scheduler, wired. One process at a time works on one database: every change is a
 * compare-and-set, so a second one could break nothing, but each would take the other's creates for
 * abandoned.
 */
public final class SchedulerApp implements AutoCloseable {
  private final Parts parts = new Parts();
  private final RpcServer server;
  private final AdminServer admin;

  private SchedulerApp(SchedulerConfig config, InstantSource clock) throws Exception {
    try {
      PrometheusMeterRegistry meters =
          parts.add(
              new PrometheusMeterRegistry(PrometheusConfig.DEFAULT),
              PrometheusMeterRegistry::close);
      MeshTls tls = parts.add(MeshTls.open(config.tls()));
      tls.bindTo(meters);
      MeshChannels channels = new MeshChannels(tls);
      Database database =
          parts.add(
              Database.open(
                  new DatabaseConfig(
                      config.databaseUrl(),
                      config.databaseUser(),
                      config.databasePasswordFile(),
                      config.databasePoolSize()),
                  meters));
      EventStore events = new EventStore(database);
      SandboxStore sandboxes = new SandboxStore(database, events);
      NodeStore nodes = new NodeStore(database, events);
      SnapshotStore snapshots = new SnapshotStore(database, events);
      VolumeStore volumes = new VolumeStore(database);
      PortKeyStore portKeys = new PortKeyStore(database, clock);
      SshKeyStore sshKeys = new SshKeyStore(database, clock);
      TokenStore tokens = new TokenStore(database, portKeys, sshKeys);

      ManagedChannel brokerChannel =
          parts.add(channels.to(config.broker(), "vault-broker"), ManagedChannel::shutdownNow);
      BrokerClient broker = new BrokerClient(brokerChannel, meters);
      Cluster cluster =
          parts.add(
              new Cluster(
                  nodes,
                  address -> channels.to(address, "node-agent"),
                  config.nodeTimeout(),
                  clock,
                  meters));
      cluster.load(sandboxes.live());
      Lifecycle lifecycle =
          parts.add(
              new Lifecycle(
                  sandboxes,
                  snapshots,
                  volumes,
                  nodes,
                  new RequestStore(database),
                  new PolicyUpdateStore(database),
                  events,
                  broker,
                  cluster,
                  new LifecycleConfig(
                      config.quotaSandboxes(),
                      config.quotaSnapshots(),
                      config.quotaVolumes(),
                      config.createTimeout(),
                      config.nodeLostAfter(),
                      config.retention()),
                  UUID.randomUUID(),
                  clock,
                  new SecureRandom()));
      // Before anyone is let in: what an earlier process left behind.
      lifecycle.housekeeper().pass();
      Templates templates =
          parts.add(
              new Templates(
                  new TemplateStore(database),
                  lifecycle.builders(config.defaultTemplate(), config.defaultSize()),
                  cluster,
                  config.quotaTemplates(),
                  clock,
                  new SecureRandom()));
      EventWatches watches = parts.add(new EventWatches(events));
      SandboxRouter router = new SandboxRouter(sandboxes, cluster);
      server =
          parts.add(
              RpcServer.builder("api", config.listen())
                  .tls(tls.server(ClientAuth.OPTIONAL), tls.trustDomain())
                  .meters(meters)
                  .rules(CallersOfMethods.rules())
                  .tokens(tokens)
                  .service(
                      new SandboxApi(
                          lifecycle,
                          sandboxes,
                          watches,
                          new CreateDefaults(config.defaultTemplate(), config.defaultSize()),
                          templates))
                  .service(new SnapshotApi(lifecycle.snapshots(), snapshots))
                  .service(new TemplateApi(templates, config.defaultSize()))
                  .service(new VolumeApi(lifecycle.volumes(), volumes, templates))
                  .service(new NodeApi(cluster))
                  .service(new TokenApi(tokens, clock))
                  .service(new PortKeyApi(portKeys, clock, new SecureRandom()))
                  .service(new SshKeyApi(sshKeys, clock, new SecureRandom()))
                  .service(
                      new NodeRegistryApi(
                          lifecycle.nodes(), cluster, config.heartbeatInterval(), clock))
                  .service(OpaqueRelay.service(ProcessServiceGrpc.getServiceDescriptor(), router))
                  .service(OpaqueRelay.service(FileServiceGrpc.getServiceDescriptor(), router))
                  .service(OpaqueRelay.service(PortServiceGrpc.getServiceDescriptor(), router))
                  .start());
      lifecycle.housekeeper().start();
      templates.start();
      admin =
          parts.add(
              AdminServer.start(
                  config.adminListen(), meters, Map.of("database", database::problem)));
    } catch (Exception e) {
      close();
      throw e;
    }
  }

  public static SchedulerApp start(SchedulerConfig config) throws Exception {
    return start(config, InstantSource.system());
  }

  static SchedulerApp start(SchedulerConfig config, InstantSource clock) throws Exception {
    return new SchedulerApp(config, clock);
  }

  /** Of the gRPC listener. */
  public int port() {
    return server.port();
  }

  public int adminPort() {
    return admin.port();
  }

  /** In reverse order of the start. */
  @Override
  public void close() {
    parts.close();
  }
}
