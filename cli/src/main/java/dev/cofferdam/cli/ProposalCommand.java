package dev.cofferdam.cli;

import dev.cofferdam.v1.AuditServiceGrpc;
import dev.cofferdam.v1.GetSandboxRequest;
import dev.cofferdam.v1.PolicyProposal;
import dev.cofferdam.v1.ProposePolicyRequest;
import dev.cofferdam.v1.Sandbox;
import dev.cofferdam.v1.SandboxServiceGrpc;
import dev.cofferdam.v1.UpdateSandboxPolicyRequest;
import io.grpc.StatusException;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
    name = "proposal",
    mixinStandardHelpOptions = true,
    description =
        "Prints the smallest policy for what a sandbox did in mode LEARN, as a file for --policy.")
final class ProposalCommand implements Callable<Integer> {
  private final Context context;

  @Parameters(paramLabel = "SANDBOX", description = "Its id.")
  private String sandbox = "";

  @Option(
      names = "--accept",
      description = "Put it into force too, unless the policy has changed meanwhile.")
  private boolean accept;

  ProposalCommand(Context context) {
    this.context = context;
  }

  @Override
  public Integer call() throws StatusException {
    try (Connections connections = context.connections().get()) {
      var sandboxes =
          SandboxServiceGrpc.newBlockingV2Stub(connections.api())
              .withDeadlineAfter(ExecOptions.deadlineSeconds() * 2, TimeUnit.SECONDS);
      // Before the proposal: its etag is of no policy that came later.
      Sandbox found =
          sandboxes.getSandbox(GetSandboxRequest.newBuilder().setSandbox(sandbox).build());
      PolicyProposal proposal =
          AuditServiceGrpc.newBlockingV2Stub(connections.audit())
              .withDeadlineAfter(ExecOptions.deadlineSeconds() * 2, TimeUnit.SECONDS)
              .proposePolicy(ProposePolicyRequest.newBuilder().setSandbox(sandbox).build());
      context.out().print(ProposalText.of(sandbox, proposal));
      context.out().flush();
      if (accept) {
        if (found.getPolicyRevision() != proposal.getPolicyRevision()) {
          throw new ClientException(
              "the policy has revision %d, the proposal is for %d: ask again"
                  .formatted(found.getPolicyRevision(), proposal.getPolicyRevision()));
        }
        Sandbox updated =
            sandboxes.updateSandboxPolicy(
                UpdateSandboxPolicyRequest.newBuilder()
                    .setSandbox(sandbox)
                    .setEgressPolicy(proposal.getPolicy())
                    .setEtag(found.getEtag())
                    .build());
        context.err().println("revision " + updated.getPolicyRevision());
      }
      return 0;
    }
  }
}
