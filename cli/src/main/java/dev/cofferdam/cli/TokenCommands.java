package dev.cofferdam.cli;

import com.google.protobuf.ByteString;
import dev.cofferdam.v1.ListTokensRequest;
import dev.cofferdam.v1.RegisterTokenRequest;
import dev.cofferdam.v1.RemoveTokenRequest;
import dev.cofferdam.v1.Token;
import dev.cofferdam.v1.TokenServiceGrpc;
import io.grpc.Channel;
import io.grpc.StatusException;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code token create|ls|rm}, for the operator: the services learn hashes only. */
@Command(name = "token", mixinStandardHelpOptions = true, description = "API tokens (operator).")
final class TokenCommands {
  private static final String WRITE_SECRETS = "secrets:write";

  private TokenCommands() {}

  static CommandLine commandLine(Context context) {
    return new CommandLine(new TokenCommands())
        .addSubcommand(new Create(context))
        .addSubcommand(new Ls(context))
        .addSubcommand(new Rm(context));
  }

  private static TokenServiceGrpc.TokenServiceBlockingV2Stub stub(Channel channel) {
    return TokenServiceGrpc.newBlockingV2Stub(channel)
        .withDeadlineAfter(ExecOptions.deadlineSeconds(), TimeUnit.SECONDS);
  }

  @Command(
      name = "create",
      mixinStandardHelpOptions = true,
      description = "Makes a token and prints it: the only time it can be seen.")
  private static final class Create implements Callable<Integer> {
    private final Context context;

    @Option(names = "--tenant", paramLabel = "NAME", description = "Default: default.")
    private String tenant = "default";

    @Option(
        names = "--scope",
        paramLabel = "SCOPE",
        required = true,
        split = ",",
        description =
            "sandboxes:read, sandboxes:write, exec, files, ports, secrets:use, secrets:read,"
                + " audit:read, or secrets:write and approvals (with secrets:read and audit:read"
                + " only: the scheduler never learns of such a token).")
    private List<String> scopes = new ArrayList<>();

    Create(Context context) {
      this.context = context;
    }

    @Override
    public Integer call() throws StatusException {
      ApiToken token = ApiToken.generate(new SecureRandom());
      boolean brokerOnly = scopes.contains(WRITE_SECRETS) || scopes.contains(ApiToken.APPROVALS);
      if (brokerOnly && !ApiToken.SECRETS_SCOPES.containsAll(scopes)) {
        throw new ClientException(
            "a token with secrets:write or approvals is known to the broker alone: of no use with "
                + String.join(
                    ", ",
                    scopes.stream().filter(s -> !ApiToken.SECRETS_SCOPES.contains(s)).toList()));
      }
      RegisterTokenRequest request =
          RegisterTokenRequest.newBuilder()
              .setId(token.id())
              .setTenant(tenant)
              .addAllScopes(scopes)
              .setSha256(ByteString.copyFrom(token.sha256()))
              .build();
      try (Connections connections = context.connections().get()) {
        var broker = stub(connections.operatorBroker());
        var _ = broker.registerToken(request);
        if (!brokerOnly) {
          registerOrUndo(connections, broker, request);
        }
      }
      context.out().println(token.text());
      return 0;
    }

    /** Half a token would be a puzzle for whoever finds it. */
    private static void registerOrUndo(
        Connections connections,
        TokenServiceGrpc.TokenServiceBlockingV2Stub broker,
        RegisterTokenRequest request)
        throws StatusException {
      try {
        var _ = stub(connections.operatorApi()).registerToken(request);
      } catch (StatusException e) {
        var _ = broker.removeToken(RemoveTokenRequest.newBuilder().setId(request.getId()).build());
        throw e;
      }
    }
  }

  @Command(name = "ls", mixinStandardHelpOptions = true, description = "Lists tokens.")
  private static final class Ls implements Callable<Integer> {
    private final Context context;

    @Option(names = "--tenant", paramLabel = "NAME", description = "Default: all.")
    private String tenant = "";

    Ls(Context context) {
      this.context = context;
    }

    @Override
    public Integer call() throws StatusException {
      ListTokensRequest request = ListTokensRequest.newBuilder().setTenant(tenant).build();
      Map<String, Token> tokens = new TreeMap<>();
      Map<String, String> places = new TreeMap<>();
      try (Connections connections = context.connections().get()) {
        for (Token token : stub(connections.operatorBroker()).listTokens(request).getTokensList()) {
          tokens.put(token.getId(), token);
          places.merge(token.getId(), "broker", (a, b) -> a + "," + b);
        }
        for (Token token : stub(connections.operatorApi()).listTokens(request).getTokensList()) {
          tokens.put(token.getId(), token);
          places.merge(token.getId(), "scheduler", (a, b) -> a + "," + b);
        }
      }
      Table table = new Table("TOKEN", "TENANT", "CREATED", "KNOWN TO", "SCOPES");
      tokens.forEach((id, token) ->
          table.row(
              List.of(
                  id,
                  token.getTenant(),
                  SandboxCommands.time(token.getCreateTime()),
                  places.getOrDefault(id, ""),
                  String.join(",", token.getScopesList()))));
      context.out().print(table.text());
      return 0;
    }
  }

  @Command(
      name = "rm",
      mixinStandardHelpOptions = true,
      description = "Takes tokens back, by their ids (tk-...).")
  private static final class Rm implements Callable<Integer> {
    private final Context context;

    @Parameters(paramLabel = "TOKEN", arity = "1..*", description = "Their ids.")
    private List<String> ids = new ArrayList<>();

    Rm(Context context) {
      this.context = context;
    }

    @Override
    public Integer call() throws StatusException {
      try (Connections connections = context.connections().get()) {
        var broker = stub(connections.operatorBroker());
        var scheduler = stub(connections.operatorApi());
        for (String id : ids) {
          RemoveTokenRequest request = RemoveTokenRequest.newBuilder().setId(id).build();
          var _ = broker.removeToken(request);
          var _ = scheduler.removeToken(request);
        }
        return 0;
      }
    }
  }
}
