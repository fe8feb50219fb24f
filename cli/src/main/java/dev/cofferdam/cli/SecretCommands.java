package dev.cofferdam.cli;

import com.google.protobuf.ByteString;
import com.google.protobuf.UnsafeByteOperations;
import dev.cofferdam.v1.DeleteSecretRequest;
import dev.cofferdam.v1.ForkMode;
import dev.cofferdam.v1.ListSecretsRequest;
import dev.cofferdam.v1.ListSecretsResponse;
import dev.cofferdam.v1.PutSecretRequest;
import dev.cofferdam.v1.RotateSecretRequest;
import dev.cofferdam.v1.Secret;
import dev.cofferdam.v1.SecretBinding;
import dev.cofferdam.v1.SecretServiceGrpc;
import io.grpc.StatusException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code secret put|rotate|ls|rm}: straight to the broker, with the token that it alone knows. */
@Command(name = "secret", mixinStandardHelpOptions = true, description = "Secrets, write-only.")
final class SecretCommands {
  private SecretCommands() {}

  static CommandLine commandLine(Context context) {
    return new CommandLine(new SecretCommands())
        .addSubcommand(new Put(context))
        .addSubcommand(new Rotate(context))
        .addSubcommand(new Ls(context))
        .addSubcommand(new Rm(context));
  }

  private static SecretServiceGrpc.SecretServiceBlockingV2Stub stub(Connections connections) {
    return SecretServiceGrpc.newBlockingV2Stub(connections.secrets())
        .withDeadlineAfter(ExecOptions.deadlineSeconds(), TimeUnit.SECONDS);
  }

  /** Never an argument: the table of processes is everyone's to read. */
  static final class ValueOption {
    @Option(
        names = "--from-file",
        paramLabel = "FILE",
        description = "Read the value from a file instead of stdin. One newline at its end is cut.")
    private @Nullable Path file;

    SecretValue read(Context context) throws IOException {
      return file == null ? SecretValue.ofInput(context) : SecretValue.ofFile(file);
    }
  }

  @Command(
      name = "put",
      mixinStandardHelpOptions = true,
      description = "Stores a secret; the value comes from stdin or a file.")
  private static final class Put implements Callable<Integer> {
    private final Context context;

    @Parameters(paramLabel = "NAME", description = "[a-z][a-z0-9-]*")
    private String name = "";

    @Option(
        names = "--host",
        paramLabel = "HOST",
        required = true,
        description = "A host that may receive it; repeatable.")
    private List<String> hosts = new ArrayList<>();

    @Option(
        names = "--target",
        paramLabel = "TARGET",
        description =
            "header:NAME, basic:username, basic:password, query:NAME, path, json:POINTER,"
                + " form:FIELD, multipart:FIELD, websocket-frame or aws4:REGION/SERVICE (* for"
                + " any), by which requests are signed with a value KEYID:SECRETKEY[:TOKEN];"
                + " repeatable. Default: header:authorization, header:x-api-key, basic:password.")
    private List<String> targets = new ArrayList<>();

    @Option(names = "--occurrences", paramLabel = "N", description = "In one target. Default: 1.")
    private int occurrences;

    @Option(names = "--cleartext", description = "Also in requests without TLS.")
    private boolean cleartext;

    @Option(
        names = "--require",
        description = "Refuse requests that hold a key of the guest's own in one of the targets.")
    private boolean require;

    @Option(names = "--weak", description = "Accept a value under 16 bytes.")
    private boolean weak;

    /** What the options take; lower case, as all others. */
    private enum Fork {
      drop,
      inherit
    }

    @Option(
        names = "--fork",
        paramLabel = "drop|inherit",
        description =
            "What becomes of its placeholder in processes of a fork, or of a sandbox made from a"
                + " snapshot: it is dead there, or works there too. Default: drop.")
    private Fork fork = Fork.drop;

    @Option(names = "--replace", description = "Replace value and bindings of one that exists.")
    private boolean replace;

    @Mixin private UseLimitOptions limits = new UseLimitOptions();

    @Mixin private HmacOptions hmac = new HmacOptions();

    @Mixin private OAuthOptions oauth = new OAuthOptions();

    @Mixin private ShapeOptions shape = new ShapeOptions();

    @Mixin private ValueOption value = new ValueOption();

    Put(Context context) {
      this.context = context;
    }

    @Override
    public Integer call() throws StatusException, IOException {
      try (Connections connections = context.connections().get();
          SecretValue secret = value.read(context)) {
        PutSecretRequest.Builder request = PutSecretRequest.newBuilder();
        limits.limits().ifPresent(request::setLimits);
        shape.shape().ifPresent(request::setShape);
        oauth.client().ifPresent(request::setOauth);
        SecretBinding.Builder binding = SecretBinding.newBuilder();
        hmac.hmac().ifPresent(binding::setHmac);
        Secret stored =
            stub(connections)
                .putSecret(
                    request
                        .setName(name)
                        .setValue(wrap(secret))
                        .addBindings(
                            binding
                                .addAllHosts(hosts)
                                .addAllTargets(targets)
                                .setOccurrences(occurrences)
                                .setCleartext(cleartext)
                                .setRequire(require))
                        .setWeak(weak)
                        .setForkMode(
                            switch (fork) {
                              case drop -> ForkMode.FORK_MODE_DROP;
                              case inherit -> ForkMode.FORK_MODE_INHERIT;
                            })
                        .setReplace(replace)
                        .build());
        context.out().printf("%s version %d%n", stored.getName(), stored.getVersion());
        return 0;
      }
    }
  }

  @Command(
      name = "rotate",
      mixinStandardHelpOptions = true,
      description = "Gives a secret a new value; the value comes from stdin or a file.")
  private static final class Rotate implements Callable<Integer> {
    private final Context context;

    @Parameters(paramLabel = "NAME", description = "Of the secret.")
    private String name = "";

    @Mixin private ValueOption value = new ValueOption();

    Rotate(Context context) {
      this.context = context;
    }

    @Override
    public Integer call() throws StatusException, IOException {
      try (Connections connections = context.connections().get();
          SecretValue secret = value.read(context)) {
        Secret stored =
            stub(connections)
                .rotateSecret(
                    RotateSecretRequest.newBuilder().setName(name).setValue(wrap(secret)).build());
        context.out().printf("%s version %d%n", stored.getName(), stored.getVersion());
        return 0;
      }
    }
  }

  @Command(
      name = "ls",
      mixinStandardHelpOptions = true,
      description = "Lists secrets: everything but their values.")
  private static final class Ls implements Callable<Integer> {
    private final Context context;

    Ls(Context context) {
      this.context = context;
    }

    @Override
    public Integer call() throws StatusException {
      try (Connections connections = context.connections().get()) {
        Table table =
            new Table(
                "SECRET", "VERSION", "UPDATED", "FORK", "HOSTS", "TARGETS", "LIMITS", "TOKEN URL");
        String page = "";
        do {
          ListSecretsResponse answer =
              stub(connections)
                  .listSecrets(ListSecretsRequest.newBuilder().setPageToken(page).build());
          answer.getSecretsList().forEach(secret -> rows(table, secret));
          page = answer.getNextPageToken();
        } while (!page.isEmpty());
        context.out().print(table.text());
        return 0;
      }
    }

    private static void rows(Table table, Secret secret) {
      for (SecretBinding binding : secret.getBindingsList()) {
        table.row(
            List.of(
                secret.getName(),
                Long.toString(secret.getVersion()),
                SandboxCommands.time(secret.getUpdateTime()),
                secret.getForkMode() == ForkMode.FORK_MODE_INHERIT ? "inherit" : "drop",
                String.join(",", binding.getHostsList()),
                String.join(",", binding.getTargetsList()),
                UseLimitOptions.text(secret.getLimits()),
                secret.getOauth().getTokenUrl()));
      }
    }
  }

  @Command(
      name = "rm",
      mixinStandardHelpOptions = true,
      description = "Revokes every use of secrets at once, then forgets them.")
  private static final class Rm implements Callable<Integer> {
    private final Context context;

    @Parameters(paramLabel = "NAME", arity = "1..*", description = "Of the secrets.")
    private List<String> names = new ArrayList<>();

    Rm(Context context) {
      this.context = context;
    }

    @Override
    public Integer call() throws StatusException {
      try (Connections connections = context.connections().get()) {
        var stub = stub(connections);
        for (String name : names) {
          var _ = stub.deleteSecret(DeleteSecretRequest.newBuilder().setName(name).build());
        }
        return 0;
      }
    }
  }

  /** Without a copy of our own: the value's owner wipes it. */
  private static ByteString wrap(SecretValue secret) {
    return UnsafeByteOperations.unsafeWrap(secret.bytes());
  }
}
