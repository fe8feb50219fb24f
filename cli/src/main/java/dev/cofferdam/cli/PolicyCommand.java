package dev.cofferdam.cli;

import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.util.JsonFormat;
import dev.cofferdam.v1.GetSandboxRequest;
import dev.cofferdam.v1.Sandbox;
import dev.cofferdam.v1.SandboxServiceGrpc;
import dev.cofferdam.v1.UpdateSandboxPolicyRequest;
import io.grpc.StatusException;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

@Command(
    name = "policy",
    mixinStandardHelpOptions = true,
    description =
        "Prints a sandbox's policy as JSON; with options, replaces it and ends what it forbids.")
final class PolicyCommand implements Callable<Integer> {
  private final Context context;

  @Parameters(paramLabel = "SANDBOX", description = "Its id.")
  private String sandbox = "";

  @ArgGroup(exclusive = false)
  private @Nullable PolicyOptions options;

  PolicyCommand(Context context) {
    this.context = context;
  }

  @Override
  public Integer call() throws StatusException, InvalidProtocolBufferException {
    try (Connections connections = context.connections().get()) {
      var stub =
          SandboxServiceGrpc.newBlockingV2Stub(connections.api())
              .withDeadlineAfter(ExecOptions.deadlineSeconds() * 2, TimeUnit.SECONDS);
      if (options == null) {
        Sandbox found = stub.getSandbox(GetSandboxRequest.newBuilder().setSandbox(sandbox).build());
        context
            .out()
            .println(
                JsonFormat.printer().preservingProtoFieldNames().print(found.getEgressPolicy()));
      } else {
        Sandbox updated =
            stub.updateSandboxPolicy(
                UpdateSandboxPolicyRequest.newBuilder()
                    .setSandbox(sandbox)
                    .setEgressPolicy(options.policy())
                    .build());
        context.out().println("revision " + updated.getPolicyRevision());
      }
      return 0;
    }
  }
}
