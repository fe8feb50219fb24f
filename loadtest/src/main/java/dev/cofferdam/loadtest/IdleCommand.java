package dev.cofferdam.loadtest;

import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * What the gateway's process keeps in memory for connections that are open and idle. They are those
 * of several sandboxes, since one may have so many at a time and no more.
 */
@Command(
    name = "idle",
    mixinStandardHelpOptions = true,
    description = "Memory of open, idle connections through the gateway. Needs root.")
final class IdleCommand extends GatewayCommand {
  private static final double MEGABYTE = 1e6;

  @Option(names = "--connections", description = "In all (default: ${DEFAULT-VALUE}).")
  private int connections = 5000;

  @Option(names = "--sandboxes", description = "That share them (default: ${DEFAULT-VALUE}).")
  private int sandboxes = 10;

  @Override
  void measure(Bench bench) throws IOException {
    Origin origin = bench.origin();
    Report report = bench.report();
    Deque<SpeakingSandbox> open = new ArrayDeque<>();
    try (Api api = bench.api();
        MeshView mesh = bench.mesh()) {
      try {
        for (int i = 0; i < sandboxes; i++) {
          open.push(SpeakingSandbox.plain(api, bench.state(), origin.host(), origin.policy()));
        }
        measure(report, mesh, origin, List.copyOf(open));
      } finally {
        while (!open.isEmpty()) {
          open.pop().close();
        }
      }
    }
  }

  private void measure(Report report, MeshView mesh, Origin origin, List<SpeakingSandbox> speaking)
      throws IOException {
    // Certificates, code and upstream connections that the first requests need are no connection's.
    for (SpeakingSandbox sandbox : speaking) {
      try (ClientProcess client = client(origin, sandbox, 8)) {
        var _ = client.opened();
        var _ = client.full(500);
      }
    }
    long before = mesh.gatewayResident();
    Deque<ClientProcess> clients = new ArrayDeque<>();
    try {
      for (int i = 0; i < speaking.size(); i++) {
        int share = connections / sandboxes + (i < connections % sandboxes ? 1 : 0);
        clients.push(client(origin, speaking.get(i), share));
      }
      List<Percentiles> opening = new ArrayList<>();
      for (ClientProcess client : clients) {
        opening.add(client.opened().times());
      }
      long with = mesh.gatewayResident();
      long opened = mesh.gatewayConnections();
      if (opened < connections) {
        throw new IOException(
            "the gateway has %d connections open, expected %d".formatted(opened, connections));
      }
      report.line(
          "idle: connections of %d sandboxes, each kept alive after a request over TLS"
              .formatted(sandboxes));
      report.number("open", "open in the gateway", (double) opened, "connections");
      report.number("before_mb", "the gateway's memory before", before / MEGABYTE, "MB");
      report.number(
          "with_mb", "the gateway's memory with them", with / MEGABYTE, "MB", Goal.atMost(300));
      report.number("bytes_each", "of a connection", (double) (with - before) / opened, "bytes");
      for (ClientProcess client : clients) {
        // All of them live, or this would fail.
        var _ = client.once();
      }
      report.number(
          "after_mb",
          "after one more request of each",
          mesh.gatewayResident() / MEGABYTE,
          "MB",
          Goal.atMost(300));
      report.fact("opening", opening);
    } finally {
      while (!clients.isEmpty()) {
        clients.pop().close();
      }
    }
  }

  private static ClientProcess client(Origin origin, SpeakingSandbox sandbox, int connections)
      throws IOException {
    return ClientProcess.start(
        sandbox.prefix(),
        origin.from(sandbox, List.of("--path=/bytes/1024", "--connections=" + connections)));
  }
}
