package dev.cofferdam.cli;

import dev.cofferdam.v1.ForkSandboxRequest;
import dev.cofferdam.v1.PauseSandboxRequest;
import dev.cofferdam.v1.ResumeSandboxRequest;
import dev.cofferdam.v1.RollBackSandboxRequest;
import dev.cofferdam.v1.Sandbox;
import dev.cofferdam.v1.SandboxServiceGrpc.SandboxServiceBlockingV2Stub;
import dev.cofferdam.v1.SuspendSandboxRequest;
import io.grpc.StatusException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code sandbox pause|resume|suspend|fork|rollback}. */
final class LifeCommands {
  private LifeCommands() {}

  static CommandLine addTo(CommandLine sandbox, Context context) {
    return sandbox
        .addSubcommand(new Pause(context))
        .addSubcommand(new Resume(context))
        .addSubcommand(new Suspend(context))
        .addSubcommand(new Fork(context))
        .addSubcommand(new RollBack(context));
  }

  /** The same for each of some sandboxes; ends at the first that is refused. */
  private abstract static class Each implements Callable<Integer> {
    private final Context context;

    @Parameters(paramLabel = "SANDBOX", arity = "1..*", description = "Their ids.")
    private List<String> sandboxes = new ArrayList<>();

    Each(Context context) {
      this.context = context;
    }

    abstract Sandbox call(SandboxServiceBlockingV2Stub stub, String sandbox) throws StatusException;

    @Override
    public Integer call() throws StatusException {
      context.each(
          sandboxes,
          (connections, sandbox) -> call(SandboxCommands.patientStub(connections), sandbox));
      return 0;
    }
  }

  @Command(
      name = "pause",
      mixinStandardHelpOptions = true,
      description = "Halts sandboxes where they are; their memory stays.")
  private static final class Pause extends Each {
    Pause(Context context) {
      super(context);
    }

    @Override
    Sandbox call(SandboxServiceBlockingV2Stub stub, String sandbox) throws StatusException {
      return stub.pauseSandbox(PauseSandboxRequest.newBuilder().setSandbox(sandbox).build());
    }
  }

  @Command(
      name = "resume",
      mixinStandardHelpOptions = true,
      description = "Lets paused and suspended sandboxes go on.")
  private static final class Resume extends Each {
    Resume(Context context) {
      super(context);
    }

    @Override
    Sandbox call(SandboxServiceBlockingV2Stub stub, String sandbox) throws StatusException {
      return stub.resumeSandbox(ResumeSandboxRequest.newBuilder().setSandbox(sandbox).build());
    }
  }

  @Command(
      name = "suspend",
      mixinStandardHelpOptions = true,
      description = "Writes sandboxes to disk and frees their memory. A call to one wakes it.")
  private static final class Suspend extends Each {
    Suspend(Context context) {
      super(context);
    }

    @Override
    Sandbox call(SandboxServiceBlockingV2Stub stub, String sandbox) throws StatusException {
      return stub.suspendSandbox(SuspendSandboxRequest.newBuilder().setSandbox(sandbox).build());
    }
  }

  @Command(
      name = "fork",
      mixinStandardHelpOptions = true,
      description = "Copies a sandbox, processes included, and prints the copies' ids.")
  private static final class Fork implements Callable<Integer> {
    private final Context context;

    @Parameters(paramLabel = "SANDBOX", description = "Its id.")
    private String sandbox = "";

    @Option(
        names = {"-n", "--count"},
        paramLabel = "N",
        description = "So many, 1 to 16. Default: 1. All or none.")
    private int count = 1;

    @Option(names = "--label", paramLabel = "KEY=VALUE", description = "A label; repeatable.")
    private Map<String, String> labels = new HashMap<>();

    @Mixin private LifetimeOptions end = new LifetimeOptions();

    Fork(Context context) {
      this.context = context;
    }

    @Override
    public Integer call() throws StatusException, InterruptedException {
      ForkSandboxRequest.Builder request =
          ForkSandboxRequest.newBuilder()
              .setSandbox(sandbox)
              .setCount(count)
              .putAllLabels(labels)
              .setTimeoutAction(end.timeoutAction())
              .setRequestId(UUID.randomUUID().toString());
      end.lifetime().ifPresent(request::setLifetime);
      try (Connections connections = context.connections().get()) {
        // An answer that was lost is asked for again, under the same request id.
        Patience.little()
            .call(() -> SandboxCommands.patientStub(connections).forkSandbox(request.build()))
            .getSandboxesList()
            .forEach(copy -> context.out().println(copy.getId()));
        return 0;
      }
    }
  }

  @Command(
      name = "rollback",
      mixinStandardHelpOptions = true,
      description = "Puts a sandbox back to one of its snapshots: memory, processes and disk.")
  private static final class RollBack implements Callable<Integer> {
    private final Context context;

    @Parameters(index = "0", paramLabel = "SANDBOX", description = "Its id.")
    private String sandbox = "";

    @Parameters(index = "1", paramLabel = "SNAPSHOT", description = "One of this sandbox.")
    private String snapshot = "";

    RollBack(Context context) {
      this.context = context;
    }

    @Override
    public Integer call() throws StatusException {
      try (Connections connections = context.connections().get()) {
        var _ =
            SandboxCommands.patientStub(connections)
                .rollBackSandbox(
                    RollBackSandboxRequest.newBuilder()
                        .setSandbox(sandbox)
                        .setSnapshot(snapshot)
                        .build());
        return 0;
      }
    }
  }
}
