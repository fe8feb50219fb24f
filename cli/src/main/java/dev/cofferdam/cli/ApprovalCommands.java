package dev.cofferdam.cli;

import com.google.protobuf.Duration;
import dev.cofferdam.v1.AnswerApprovalRequest;
import dev.cofferdam.v1.Approval;
import dev.cofferdam.v1.ApprovalServiceGrpc;
import dev.cofferdam.v1.ApprovalServiceGrpc.ApprovalServiceBlockingV2Stub;
import dev.cofferdam.v1.ListApprovalsRequest;
import dev.cofferdam.v1.WatchApprovalsRequest;
import io.grpc.StatusException;
import io.grpc.stub.BlockingClientCall;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code approvals}, {@code approve} and {@code deny}: requests that wait for somebody's word. */
final class ApprovalCommands {
  private ApprovalCommands() {}

  static CommandLine addTo(CommandLine client, Context context) {
    return client
        .addSubcommand(new Approvals(context))
        .addSubcommand(new Approve(context))
        .addSubcommand(new Deny(context));
  }

  /** The token that the scheduler does not know. */
  private static ApprovalServiceBlockingV2Stub stub(Connections connections) {
    return ApprovalServiceGrpc.newBlockingV2Stub(connections.secrets());
  }

  private static ApprovalServiceBlockingV2Stub hasty(Connections connections) {
    return stub(connections).withDeadlineAfter(ExecOptions.deadlineSeconds(), TimeUnit.SECONDS);
  }

  @Command(
      name = "approvals",
      mixinStandardHelpOptions = true,
      description = "Requests that wait for an answer, oldest first.")
  private static final class Approvals implements Callable<Integer> {
    private final Context context;

    @Option(names = "--follow", description = "Stay and print each that comes or waits no longer.")
    private boolean follow;

    @Option(names = "--sandbox", paramLabel = "ID", description = "Only of this one.")
    private String sandbox = "";

    Approvals(Context context) {
      this.context = context;
    }

    @Override
    public Integer call() throws StatusException, InterruptedException {
      try (Connections connections = context.connections().get()) {
        if (!follow) {
          hasty(connections)
              .listApprovals(ListApprovalsRequest.newBuilder().setSandbox(sandbox).build())
              .getApprovalsList()
              .forEach(this::print);
          return 0;
        }
        BlockingClientCall<?, Approval> watch =
            stub(connections)
                .watchApprovals(WatchApprovalsRequest.newBuilder().setSandbox(sandbox).build());
        for (Approval one = watch.read(); one != null; one = watch.read()) {
          print(one);
        }
        return 0;
      }
    }

    private void print(Approval approval) {
      context.out().println(line(approval));
      context.out().flush();
    }
  }

  @Command(
      name = "approve",
      mixinStandardHelpOptions = true,
      description = "Lets a request that waits go on.")
  private static final class Approve implements Callable<Integer> {
    private final Context context;

    @Parameters(paramLabel = "ID", description = "Of the approval, as `approvals` prints it.")
    private String approval = "";

    @Option(
        names = "--for",
        paramLabel = "TIME",
        description =
            "As in 10m, at most 24h: likewise for requests of the sandbox with the same host, port,"
                + " method, path and secrets, whatever their content.")
    private String remember = "";

    Approve(Context context) {
      this.context = context;
    }

    @Override
    public Integer call() throws StatusException {
      AnswerApprovalRequest.Builder request =
          AnswerApprovalRequest.newBuilder().setApproval(approval).setApprove(true);
      if (!remember.isEmpty()) {
        Duration time = LifetimeOptions.duration("--for", remember);
        request.setRemember(time);
      }
      return answer(context, request.build());
    }
  }

  @Command(name = "deny", mixinStandardHelpOptions = true, description = "Refuses one that waits.")
  private static final class Deny implements Callable<Integer> {
    private final Context context;

    @Parameters(paramLabel = "ID", description = "Of the approval, as `approvals` prints it.")
    private String approval = "";

    Deny(Context context) {
      this.context = context;
    }

    @Override
    public Integer call() throws StatusException {
      return answer(context, AnswerApprovalRequest.newBuilder().setApproval(approval).build());
    }
  }

  private static int answer(Context context, AnswerApprovalRequest request) throws StatusException {
    try (Connections connections = context.connections().get()) {
      context.out().println(line(hasty(connections).answerApproval(request)));
      return 0;
    }
  }

  /**
   * A guest chooses most of it: nothing of it may steer the reader's terminal, or look like more.
   */
  static String line(Approval approval) {
    String state =
        approval.getState().name().replace("APPROVAL_STATE_", "").toLowerCase(Locale.ROOT);
    String line =
        "%s %s %s %s %s://%s:%d%s"
            .formatted(
                approval.getId(),
                approval.getSandbox(),
                state,
                EventLine.shown(approval.getMethod()),
                approval.getTls() ? "https" : "http",
                EventLine.shown(approval.getHost()),
                approval.getPort(),
                EventLine.shown(approval.getPath()));
    if (approval.getBodyBytes() != 0) {
      line +=
          " body=%s"
              .formatted(
                  approval.getBodyBytes() < 0 ? "unknown" : Long.toString(approval.getBodyBytes()));
    }
    if (!approval.getContentType().isEmpty()) {
      line += " type=" + EventLine.shown(approval.getContentType());
    }
    if (approval.getSecretsCount() > 0) {
      line += " secrets=" + String.join(",", approval.getSecretsList());
    }
    Instant end = Instant.ofEpochSecond(approval.getExpireTime().getSeconds());
    return line + " until=" + end.truncatedTo(ChronoUnit.SECONDS);
  }
}
