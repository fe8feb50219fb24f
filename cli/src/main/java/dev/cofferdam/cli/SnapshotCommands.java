package dev.cofferdam.cli;

import dev.cofferdam.v1.CreateSnapshotRequest;
import dev.cofferdam.v1.DeleteSnapshotRequest;
import dev.cofferdam.v1.ListSnapshotsRequest;
import dev.cofferdam.v1.ListSnapshotsResponse;
import dev.cofferdam.v1.Snapshot;
import dev.cofferdam.v1.SnapshotKind;
import dev.cofferdam.v1.SnapshotServiceGrpc;
import io.grpc.StatusException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code snapshot create|ls|rm}. */
@Command(
    name = "snapshot",
    mixinStandardHelpOptions = true,
    description = "Sandboxes as they were at one moment.")
final class SnapshotCommands {
  private static final long MIB = 1 << 20;

  private SnapshotCommands() {}

  static CommandLine commandLine(Context context) {
    return new CommandLine(new SnapshotCommands())
        .addSubcommand(new Create(context))
        .addSubcommand(new Ls(context))
        .addSubcommand(new Rm(context));
  }

  private static SnapshotServiceGrpc.SnapshotServiceBlockingV2Stub stub(Connections connections) {
    return SnapshotServiceGrpc.newBlockingV2Stub(connections.api())
        .withDeadlineAfter(SandboxCommands.PATIENT_S, TimeUnit.SECONDS);
  }

  @Command(
      name = "create",
      mixinStandardHelpOptions = true,
      description = "Takes a snapshot of a sandbox, which goes on, and prints its id.")
  private static final class Create implements Callable<Integer> {
    private final Context context;

    @Parameters(paramLabel = "SANDBOX", description = "Its id.")
    private String sandbox = "";

    @Option(names = "--disk-only", description = "Without memory: what is made from it boots.")
    private boolean diskOnly;

    @Option(names = "--label", paramLabel = "KEY=VALUE", description = "A label; repeatable.")
    private Map<String, String> labels = new HashMap<>();

    Create(Context context) {
      this.context = context;
    }

    @Override
    public Integer call() throws StatusException, InterruptedException {
      CreateSnapshotRequest request =
          CreateSnapshotRequest.newBuilder()
              .setSandbox(sandbox)
              .setKind(diskOnly ? SnapshotKind.SNAPSHOT_KIND_DISK : SnapshotKind.SNAPSHOT_KIND_FULL)
              .putAllLabels(labels)
              .setRequestId(UUID.randomUUID().toString())
              .build();
      try (Connections connections = context.connections().get()) {
        // An answer that was lost is asked for again, under the same request id.
        context
            .out()
            .println(
                Patience.little().call(() -> stub(connections).createSnapshot(request)).getId());
        return 0;
      }
    }
  }

  @Command(
      name = "ls",
      mixinStandardHelpOptions = true,
      description = "Lists snapshots, newest first.")
  private static final class Ls implements Callable<Integer> {
    private final Context context;

    @Option(names = "--sandbox", paramLabel = "SANDBOX", description = "Only of this sandbox.")
    private String sandbox = "";

    @Option(names = "--label", paramLabel = "KEY=VALUE", description = "Only with this label.")
    private Map<String, String> labels = new HashMap<>();

    Ls(Context context) {
      this.context = context;
    }

    @Override
    public Integer call() throws StatusException {
      try (Connections connections = context.connections().get()) {
        Table table =
            new Table(
                "SNAPSHOT", "SANDBOX", "STATE", "KIND", "TEMPLATE", "MIB", "CREATED", "LABELS");
        String page = "";
        do {
          ListSnapshotsResponse answer =
              stub(connections)
                  .listSnapshots(
                      ListSnapshotsRequest.newBuilder()
                          .setPageToken(page)
                          .setSandbox(sandbox)
                          .putAllLabelFilter(labels)
                          .build());
          answer.getSnapshotsList().forEach(snapshot -> table.row(row(snapshot)));
          page = answer.getNextPageToken();
        } while (!page.isEmpty());
        context.out().print(table.text());
        return 0;
      }
    }

    private static List<String> row(Snapshot snapshot) {
      return List.of(
          snapshot.getId(),
          snapshot.getSandbox(),
          snapshot.getState().name().replace("SNAPSHOT_STATE_", "").toLowerCase(Locale.ROOT),
          snapshot.getKind().name().replace("SNAPSHOT_KIND_", "").toLowerCase(Locale.ROOT),
          snapshot.getTemplate(),
          Long.toString(snapshot.getBytes() / MIB),
          SandboxCommands.time(snapshot.getCreateTime()),
          SandboxCommands.labels(snapshot.getLabelsMap()));
    }
  }

  @Command(
      name = "rm",
      mixinStandardHelpOptions = true,
      description = "Removes snapshots. Sandboxes that were made from them go on.")
  private static final class Rm implements Callable<Integer> {
    private final Context context;

    @Parameters(paramLabel = "SNAPSHOT", arity = "1..*", description = "Their ids.")
    private List<String> snapshots = new ArrayList<>();

    Rm(Context context) {
      this.context = context;
    }

    @Override
    public Integer call() throws StatusException {
      context.each(
          snapshots,
          (connections, snapshot) ->
              stub(connections)
                  .deleteSnapshot(
                      DeleteSnapshotRequest.newBuilder().setSnapshot(snapshot).build()));
      return 0;
    }
  }
}
