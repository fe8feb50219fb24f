package dev.cofferdam.loadtest;

import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressRule;
import java.io.IOException;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * What the gateway's process keeps in memory for connections that are open and idle. They are those
 * of several sandboxes, since one may have so many at a time and no more.
 */
@Command(
    name = "idle",
    mixinStandardHelpOptions = true,
    description = "Memory of open, idle connections through the gateway. Needs root.")
final class IdleCommand implements Callable<Integer> {
  private static final double MEGABYTE = 1e6;

  @Option(names = "--connections", description = "In all (default: ${DEFAULT-VALUE}).")
  private int connections = 5000;

  @Option(names = "--sandboxes", description = "That share them (default: ${DEFAULT-VALUE}).")
  private int sandboxes = 10;

  @Option(names = "--json", paramLabel = "FILE", description = "Write the results there too.")
  private @Nullable Path json;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Override
  public Integer call() throws IOException {
    Map<String, String> environment = System.getenv();
    Path state = Path.of(Api.required(environment, "COFFERDAM_STATE"));
    Origin origin = Origin.of(environment);
    Report report =
        new Report(spec.commandLine().getOut(), "idle", InstantSource.system().instant());
    EgressPolicy policy =
        EgressPolicy.newBuilder().addRules(EgressRule.newBuilder().setHost(origin.host())).build();
    Deque<SpeakingSandbox> open = new ArrayDeque<>();
    try (Api api = Api.open(environment);
        MeshView mesh = MeshView.open(state)) {
      try {
        for (int i = 0; i < sandboxes; i++) {
          open.push(SpeakingSandbox.plain(api, state, origin.host(), policy));
        }
        measure(report, mesh, origin, List.copyOf(open));
      } finally {
        while (!open.isEmpty()) {
          open.pop().close();
        }
      }
    }
    report.write(Optional.ofNullable(json));
    return 0;
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
