package dev.cofferdam.cli;

import dev.cofferdam.v1.CreateSandboxRequest;
import dev.cofferdam.v1.DeleteSandboxRequest;
import dev.cofferdam.v1.PolicyMode;
import dev.cofferdam.v1.Sandbox;
import dev.cofferdam.v1.SandboxServiceGrpc;
import io.grpc.Channel;
import io.grpc.StatusException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
    name = "run",
    mixinStandardHelpOptions = true,
    description = "Runs one command in a sandbox of its own and exits with the command's code.")
final class RunCommand implements Callable<Integer> {
  private static final int SIGNALLED = 128;
  private static final int FAILED = 1;

  private final Context context;

  @Mixin private SandboxOptions sandboxOptions = new SandboxOptions();
  @Mixin private ExecOptions execOptions = new ExecOptions();

  @Option(names = "--keep", description = "Keep the sandbox; its id goes to stderr.")
  private boolean keep;

  @Option(
      names = "--verbose",
      description = "Say on stderr which way the sandbox was started and what that cost.")
  private boolean verbose;

  @Parameters(paramLabel = "CMD", arity = "1..*", description = "The command, after --.")
  private List<String> command = new ArrayList<>();

  RunCommand(Context context) {
    this.context = context;
  }

  @Override
  public Integer call() throws StatusException, IOException, InterruptedException {
    try (Connections connections = context.connections().get()) {
      Channel channel = connections.api();
      SandboxServiceGrpc.SandboxServiceBlockingV2Stub sandboxes =
          SandboxServiceGrpc.newBlockingV2Stub(channel);
      // A signal while the sandbox is being made must not leave it behind.
      AtomicInteger early = new AtomicInteger();
      context.terminal().onSignal(early::set);
      CreateSandboxRequest request = sandboxOptions.request();
      Sandbox sandbox =
          // An answer that was lost is asked for again, under the same request id.
          Patience.little()
              .call(() ->
                  sandboxes
                      .withDeadlineAfter(ExecOptions.deadlineSeconds() * 2, TimeUnit.SECONDS)
                      .createSandbox(request));
      if (verbose) {
        context.err().println(sandbox.getId() + ": " + SandboxCommands.start(sandbox));
      }
      int code;
      boolean settled = true;
      try {
        code =
            early.get() != 0
                ? SIGNALLED + early.get()
                : execOptions.run(context, channel, sandbox.getId(), command);
      } finally {
        if (keep) {
          context.err().println(sandbox.getId());
        } else {
          settled = removed(sandboxes, sandbox.getId());
          if (request.getEgressPolicy().getMode() == PolicyMode.POLICY_MODE_LEARN) {
            // The record outlives the sandbox.
            context.err().println("cofferdam sandbox proposal " + sandbox.getId());
          }
        }
      }
      return settled ? code : FAILED;
    }
  }

  /** Says so by itself where it fails: what the command came to must not be hidden by it. */
  private boolean removed(SandboxServiceGrpc.SandboxServiceBlockingV2Stub sandboxes, String sandbox)
      throws InterruptedException {
    try {
      var _ =
          Patience.much()
              .call(() ->
                  sandboxes
                      .withDeadlineAfter(ExecOptions.deadlineSeconds(), TimeUnit.SECONDS)
                      .deleteSandbox(
                          DeleteSandboxRequest.newBuilder().setSandbox(sandbox).build()));
      return true;
    } catch (StatusException e) {
      context.err().println("cofferdam: " + sandbox + " is still there: " + ErrorLine.of(e));
      return false;
    }
  }
}
