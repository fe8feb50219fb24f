package dev.cofferdam.cli;

import dev.cofferdam.v1.CreateSshKeyRequest;
import dev.cofferdam.v1.DeleteSshKeyRequest;
import dev.cofferdam.v1.ListSshKeysRequest;
import dev.cofferdam.v1.SshKey;
import dev.cofferdam.v1.SshKeyServiceGrpc;
import io.grpc.StatusException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** {@code ssh-key add|ls|rm}. */
@Command(
    name = "ssh-key",
    mixinStandardHelpOptions = true,
    description = "Keys that people get into sandboxes with over SSH.")
final class SshKeyCommands {
  private SshKeyCommands() {}

  static CommandLine commandLine(Context context) {
    return new CommandLine(new SshKeyCommands())
        .addSubcommand(new Add(context))
        .addSubcommand(new Ls(context))
        .addSubcommand(new Rm(context));
  }

  private static SshKeyServiceGrpc.SshKeyServiceBlockingV2Stub stub(Connections connections) {
    return SshKeyServiceGrpc.newBlockingV2Stub(connections.api())
        .withDeadlineAfter(SandboxCommands.PATIENT_S, TimeUnit.SECONDS);
  }

  @Command(
      name = "add",
      mixinStandardHelpOptions = true,
      description =
          "Lets whoever has the key's private half into all of your sandboxes, until the key or"
              + " your token is removed. Prints its fingerprint.")
  private static final class Add implements Callable<Integer> {
    private final Context context;

    @Parameters(index = "0", paramLabel = "NAME", description = "[a-z0-9][a-z0-9._-]{0,62}")
    private String name = "";

    @Parameters(
        index = "1",
        paramLabel = "FILE",
        description = "A .pub file with an Ed25519 key; - for standard input.")
    private String file = "";

    Add(Context context) {
      this.context = context;
    }

    @Override
    public Integer call() throws StatusException, InterruptedException {
      CreateSshKeyRequest request =
          CreateSshKeyRequest.newBuilder()
              .setName(name)
              .setPublicKey(PublicKeyFile.read(file, context.in()))
              .build();
      try (Connections connections = context.connections().get()) {
        // An answer that was lost is asked for again: the same key under its name is no error.
        SshKey key = Patience.little().call(() -> stub(connections).createSshKey(request));
        context.out().println(key.getFingerprint());
        return 0;
      }
    }
  }

  @Command(name = "ls", mixinStandardHelpOptions = true, description = "Lists keys, by name.")
  private static final class Ls implements Callable<Integer> {
    private final Context context;

    Ls(Context context) {
      this.context = context;
    }

    @Override
    public Integer call() throws StatusException {
      try (Connections connections = context.connections().get()) {
        Table table = new Table("NAME", "FINGERPRINT", "TOKEN", "CREATED", "LAST USE");
        stub(connections)
            .listSshKeys(ListSshKeysRequest.getDefaultInstance())
            .getKeysList()
            .forEach(key -> table.row(row(key)));
        context.out().print(table.text());
        return 0;
      }
    }

    private static List<String> row(SshKey key) {
      return List.of(
          key.getName(),
          key.getFingerprint(),
          key.getToken(),
          SandboxCommands.time(key.getCreateTime()),
          key.hasLastUseTime() ? SandboxCommands.time(key.getLastUseTime()) : "");
    }
  }

  @Command(
      name = "rm",
      mixinStandardHelpOptions = true,
      description = "Removes keys. What runs in sessions that they opened goes on.")
  private static final class Rm implements Callable<Integer> {
    private final Context context;

    @Parameters(paramLabel = "NAME", arity = "1..*", description = "As ssh-key ls shows them.")
    private List<String> names = new ArrayList<>();

    Rm(Context context) {
      this.context = context;
    }

    @Override
    public Integer call() throws StatusException {
      context.each(
          names,
          (connections, key) ->
              stub(connections)
                  .deleteSshKey(DeleteSshKeyRequest.newBuilder().setName(key).build()));
      return 0;
    }
  }
}
