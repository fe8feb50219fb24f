package dev.cofferdam.edge;

import dev.cofferdam.edge.api.EdgeServer;
import dev.cofferdam.edge.fetch.FetchMethods;
import dev.cofferdam.edge.file.AttributeMethods;
import dev.cofferdam.edge.file.FileMethods;
import dev.cofferdam.edge.file.HandleMethods;
import dev.cofferdam.edge.file.WalkMethods;
import dev.cofferdam.edge.mesh.MeshClient;
import dev.cofferdam.edge.port.ExposeMethods;
import dev.cofferdam.edge.port.ExposedHosts;
import dev.cofferdam.edge.port.PortServer;
import dev.cofferdam.edge.process.ProcessMethods;
import dev.cofferdam.edge.sandbox.Sandboxes;
import dev.cofferdam.edge.ssh.SshGateway;
import dev.cofferdam.edge.volume.Snapshots;
import dev.cofferdam.edge.volume.Volumes;
import dev.cofferdam.kit.admin.AdminServer;
import dev.cofferdam.kit.app.Parts;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.io.IOException;
import java.security.SecureRandom;
import java.time.Clock;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** The wiring; closed in reverse order. */
public final class EdgeApp implements AutoCloseable {
  private final Parts parts = new Parts();
  private final EdgeServer server;
  private final PortServer ports;
  private final Optional<SshGateway> ssh;
  private final AdminServer admin;

  private EdgeApp(EdgeConfig config, MeshClient mesh) throws IOException {
    boolean whole = false;
    try {
      parts.add(mesh, MeshClient::close);
      PrometheusMeterRegistry meters =
          parts.add(
              new PrometheusMeterRegistry(PrometheusConfig.DEFAULT),
              PrometheusMeterRegistry::close);
      ExecutorService threads =
          parts.add(Executors.newVirtualThreadPerTaskExecutor(), ExecutorService::shutdownNow);
      SecureRandom random = new SecureRandom();
      Snapshots snapshots = new Snapshots(config.region());
      Sandboxes sandboxes =
          new Sandboxes(
              snapshots,
              random,
              Clock.systemUTC(),
              config.region(),
              config.lease(),
              config.unnamedMemoryMib() == 0 ? -1 : config.unnamedMemoryMib(),
              config.ssh().hostKey().isPresent());
      ports =
          parts.add(
              PortServer.start(config.ports(), mesh, threads, Clock.systemUTC(), random, meters),
              PortServer::close);
      ExposedHosts hosts =
          new ExposedHosts(
              config.ports().domain(),
              config.ports().publicPort() == 0 ? ports.port() : config.ports().publicPort(),
              random);
      if (config.ssh().hostKey().isPresent()) {
        ssh =
            Optional.of(
                parts.add(
                    SshGateway.start(
                        config.ssh(), config.ssh().hostKey().get(), mesh, threads, meters),
                    SshGateway::close));
      } else {
        ssh = Optional.empty();
      }
      server =
          parts.add(
              EdgeServer.start(
                  config.listen(),
                  config.limits(),
                  mesh,
                  sandboxes,
                  new Volumes(config.region()),
                  snapshots,
                  hosts,
                  ssh,
                  List.of(
                      context -> new ProcessMethods(context, config.deno()),
                      FileMethods::new,
                      AttributeMethods::new,
                      HandleMethods::new,
                      WalkMethods::new,
                      FetchMethods::new,
                      context -> new ExposeMethods(context, hosts)),
                  threads,
                  random,
                  meters),
              EdgeServer::close);
      admin =
          parts.add(AdminServer.start(config.adminListen(), meters, Map.of()), AdminServer::close);
      whole = true;
    } finally {
      if (!whole) {
        close();
      }
    }
  }

  public static EdgeApp start(EdgeConfig config) throws IOException {
    return start(config, MeshClient.connect(config.api(), config.broker(), config.authority()));
  }

  /** Over a client that it closes. */
  static EdgeApp start(EdgeConfig config, MeshClient mesh) throws IOException {
    return new EdgeApp(config, mesh);
  }

  public int port() {
    return server.port();
  }

  /** Of ports' URLs. */
  public int portsPort() {
    return ports.port();
  }

  /** Of SSH; empty where it is not served. */
  public Optional<Integer> sshPort() {
    return ssh.map(SshGateway::port);
  }

  public int adminPort() {
    return admin.port();
  }

  EdgeServer server() {
    return server;
  }

  @Override
  public void close() {
    parts.close();
  }
}
