package dev.cofferdam.cli;

import com.google.protobuf.Duration;
import dev.cofferdam.v1.CreatePortKeyRequest;
import dev.cofferdam.v1.CreatePortKeyResponse;
import dev.cofferdam.v1.DeletePortKeyRequest;
import dev.cofferdam.v1.ListPortKeysRequest;
import dev.cofferdam.v1.PortKey;
import dev.cofferdam.v1.PortKeyServiceGrpc;
import io.grpc.StatusException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code port share|ls|unshare}. */
@Command(
    name = "port",
    mixinStandardHelpOptions = true,
    description = "URLs of sandboxes' ports that are shared with others.")
final class PortCommands {
  private PortCommands() {}

  static CommandLine commandLine(Context context) {
    return new CommandLine(new PortCommands())
        .addSubcommand(new Share(context))
        .addSubcommand(new Ls(context))
        .addSubcommand(new Unshare(context));
  }

  private static PortKeyServiceGrpc.PortKeyServiceBlockingV2Stub stub(Connections connections) {
    return PortKeyServiceGrpc.newBlockingV2Stub(connections.api())
        .withDeadlineAfter(SandboxCommands.PATIENT_S, TimeUnit.SECONDS);
  }

  @Command(
      name = "share",
      mixinStandardHelpOptions = true,
      description =
          "Prints a link: whoever has it reaches that port of the sandbox, until the link is taken"
              + " back or the sandbox ends.")
  private static final class Share implements Callable<Integer> {
    private final Context context;

    @Parameters(index = "0", paramLabel = "SANDBOX", description = "Its id.")
    private String sandbox = "";

    @Parameters(index = "1", paramLabel = "PORT", description = "1 to 65535, not 1024.")
    private int port;

    @Option(
        names = "--for",
        paramLabel = "TIME",
        description = "30s, 10m, 2h or 7d from now, at most 365d. Default: as long as the sandbox.")
    private String time = "";

    @Option(
        names = "--public",
        description = "For everybody, without a link: whoever knows the sandbox's id.")
    private boolean everybody;

    @Option(
        names = "--domain",
        paramLabel = "HOST[:PORT]",
        defaultValue = "${env:COFFERDAM_PORTS_DOMAIN:-}",
        description = "Of ports' URLs. Default: $COFFERDAM_PORTS_DOMAIN.")
    private String domain = "";

    Share(Context context) {
      this.context = context;
    }

    @Override
    public Integer call() throws StatusException {
      if (domain.isEmpty()) {
        throw new ClientException("no domain: set COFFERDAM_PORTS_DOMAIN, see ./cofferdam env");
      }
      CreatePortKeyRequest.Builder request =
          CreatePortKeyRequest.newBuilder().setSandbox(sandbox).setPort(port).setPublic(everybody);
      if (!time.isEmpty()) {
        Duration lifetime = LifetimeOptions.duration("--for", time);
        request.setLifetime(lifetime);
      }
      try (Connections connections = context.connections().get()) {
        CreatePortKeyResponse made = stub(connections).createPortKey(request.build());
        context.out().println(url() + (everybody ? "" : "?cofferdam_key=" + made.getSecret()));
        return 0;
      }
    }

    private String url() {
      String host = domain.replaceFirst(":[0-9]+$", "");
      boolean here = host.equals("localhost") || host.endsWith(".localhost");
      return "%s://%d-%s.%s/".formatted(here ? "http" : "https", port, sandbox, domain);
    }
  }

  @Command(
      name = "ls",
      mixinStandardHelpOptions = true,
      description = "Lists what is shared of a sandbox, without the links.")
  private static final class Ls implements Callable<Integer> {
    private final Context context;

    @Parameters(paramLabel = "SANDBOX", description = "Its id.")
    private String sandbox = "";

    Ls(Context context) {
      this.context = context;
    }

    @Override
    public Integer call() throws StatusException {
      try (Connections connections = context.connections().get()) {
        Table table = new Table("KEY", "PORT", "FOR", "HOST", "CREATED", "ENDS");
        stub(connections)
            .listPortKeys(ListPortKeysRequest.newBuilder().setSandbox(sandbox).build())
            .getKeysList()
            .forEach(key -> table.row(row(key)));
        context.out().print(table.text());
        return 0;
      }
    }

    private static List<String> row(PortKey key) {
      return List.of(
          key.getId(),
          Integer.toString(key.getPort()),
          key.getPublic() ? "everybody" : "link",
          key.getHost(),
          SandboxCommands.time(key.getCreateTime()),
          key.hasExpireTime() ? SandboxCommands.time(key.getExpireTime()) : "");
    }
  }

  @Command(
      name = "unshare",
      mixinStandardHelpOptions = true,
      description = "Takes links back, or what is for everybody.")
  private static final class Unshare implements Callable<Integer> {
    private final Context context;

    @Parameters(paramLabel = "KEY", arity = "1..*", description = "As port ls shows them.")
    private List<String> keys = new ArrayList<>();

    Unshare(Context context) {
      this.context = context;
    }

    @Override
    public Integer call() throws StatusException {
      context.each(
          keys,
          (connections, key) ->
              stub(connections)
                  .deletePortKey(DeletePortKeyRequest.newBuilder().setId(key).build()));
      return 0;
    }
  }
}
