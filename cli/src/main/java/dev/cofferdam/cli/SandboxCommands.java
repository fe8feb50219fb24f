package dev.cofferdam.cli;

import com.google.protobuf.Duration;
import com.google.protobuf.Timestamp;
import dev.cofferdam.v1.DeleteSandboxRequest;
import dev.cofferdam.v1.ListSandboxesRequest;
import dev.cofferdam.v1.ListSandboxesResponse;
import dev.cofferdam.v1.Sandbox;
import dev.cofferdam.v1.SandboxServiceGrpc;
import io.grpc.StatusException;
import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/**
 * {@code sandbox create|exec|ls|rm|cp|forward|policy|proposal|pause|resume|suspend|fork|rollback}.
 */
@Command(name = "sandbox", mixinStandardHelpOptions = true, description = "Sandboxes.")
final class SandboxCommands {
  static final long PATIENT_S = 420;

  private SandboxCommands() {}

  static CommandLine commandLine(Context context) {
    return LifeCommands.addTo(
        new CommandLine(new SandboxCommands())
            .addSubcommand(new Create(context))
            .addSubcommand(new Exec(context))
            .addSubcommand(new Ls(context))
            .addSubcommand(new Rm(context))
            .addSubcommand(new CpCommand(context))
            .addSubcommand(new ForwardCommand(context))
            .addSubcommand(new PolicyCommand(context))
            .addSubcommand(new ProposalCommand(context)),
        context);
  }

  /** For what moves a sandbox's memory: longer than the scheduler waits for a node. */
  static SandboxServiceGrpc.SandboxServiceBlockingV2Stub patientStub(Connections connections) {
    return SandboxServiceGrpc.newBlockingV2Stub(connections.api())
        .withDeadlineAfter(PATIENT_S, TimeUnit.SECONDS);
  }

  private static SandboxServiceGrpc.SandboxServiceBlockingV2Stub stub(Connections connections) {
    return SandboxServiceGrpc.newBlockingV2Stub(connections.api())
        .withDeadlineAfter(ExecOptions.deadlineSeconds() * 2, TimeUnit.SECONDS);
  }

  @Command(
      name = "create",
      mixinStandardHelpOptions = true,
      description = "Creates a sandbox and prints its id.")
  private static final class Create implements Callable<Integer> {
    private final Context context;

    @Mixin private SandboxOptions options = new SandboxOptions();

    Create(Context context) {
      this.context = context;
    }

    @Override
    public Integer call() throws StatusException {
      try (Connections connections = context.connections().get()) {
        context.out().println(stub(connections).createSandbox(options.request()).getId());
        return 0;
      }
    }
  }

  @Command(
      name = "exec",
      mixinStandardHelpOptions = true,
      description = "Runs a command in a sandbox and exits with the command's code.")
  private static final class Exec implements Callable<Integer> {
    private final Context context;

    @Parameters(index = "0", paramLabel = "SANDBOX", description = "Its id.")
    private String sandbox = "";

    @Parameters(
        index = "1..*",
        paramLabel = "CMD",
        arity = "1..*",
        description = "The command, after --.")
    private List<String> command = new ArrayList<>();

    @Mixin private ExecOptions options = new ExecOptions();

    Exec(Context context) {
      this.context = context;
    }

    @Override
    public Integer call() throws StatusException, IOException, InterruptedException {
      try (Connections connections = context.connections().get()) {
        return options.run(context, connections.api(), sandbox, command);
      }
    }
  }

  @Command(
      name = "ls",
      mixinStandardHelpOptions = true,
      description = "Lists sandboxes, newest first.")
  private static final class Ls implements Callable<Integer> {
    private final Context context;

    @Option(names = "--all", description = "Also those that have ended.")
    private boolean all;

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
                "SANDBOX",
                "STATE",
                "TEMPLATE",
                "ISOLATION",
                "START",
                "CREATED",
                "EXPIRES",
                "LABELS");
        String page = "";
        do {
          ListSandboxesResponse answer =
              stub(connections)
                  .listSandboxes(
                      ListSandboxesRequest.newBuilder()
                          .setPageToken(page)
                          .setShowEnded(all)
                          .putAllLabelFilter(labels)
                          .build());
          answer.getSandboxesList().forEach(sandbox -> table.row(row(sandbox)));
          page = answer.getNextPageToken();
        } while (!page.isEmpty());
        context.out().print(table.text());
        return 0;
      }
    }

    private static List<String> row(Sandbox sandbox) {
      return List.of(
          sandbox.getId(),
          sandbox.getState().name().replace("SANDBOX_STATE_", "").toLowerCase(Locale.ROOT),
          sandbox.getTemplate(),
          sandbox.getIsolation(),
          start(sandbox),
          time(sandbox.getCreateTime()),
          sandbox.hasExpireTime() ? time(sandbox.getExpireTime()) : "never",
          labels(sandbox.getLabelsMap()));
    }
  }

  /** Which way it was started and what that cost: {@code pooled 21 ms}. */
  static String start(Sandbox sandbox) {
    if (!sandbox.hasStart()) {
      return "";
    }
    Duration took = sandbox.getStart().getDuration();
    return "%s %d ms"
        .formatted(
            sandbox.getStart().getWay().name().replace("START_WAY_", "").toLowerCase(Locale.ROOT),
            took.getSeconds() * 1000 + took.getNanos() / 1_000_000);
  }

  static String labels(Map<String, String> labels) {
    return String.join(
        ",",
        labels.entrySet().stream()
            .map(label -> label.getKey() + "=" + label.getValue())
            .sorted()
            .toList());
  }

  @Command(
      name = "rm",
      mixinStandardHelpOptions = true,
      description = "Ends sandboxes: their placeholders die first, then the VM and its disk.")
  private static final class Rm implements Callable<Integer> {
    private final Context context;

    @Parameters(paramLabel = "SANDBOX", arity = "1..*", description = "Their ids.")
    private List<String> sandboxes = new ArrayList<>();

    Rm(Context context) {
      this.context = context;
    }

    @Override
    public Integer call() throws StatusException {
      try (Connections connections = context.connections().get()) {
        var stub = stub(connections);
        for (String sandbox : sandboxes) {
          var _ = stub.deleteSandbox(DeleteSandboxRequest.newBuilder().setSandbox(sandbox).build());
        }
        return 0;
      }
    }
  }

  /** RFC 3339, in whole seconds. */
  static String time(Timestamp time) {
    return Instant.ofEpochSecond(time.getSeconds()).toString();
  }
}
