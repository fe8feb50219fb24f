package dev.cofferdam.cli;

import dev.cofferdam.v1.CreateTemplateRequest;
import dev.cofferdam.v1.DebianSource;
import dev.cofferdam.v1.DeleteTemplateRequest;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.GetTemplateRequest;
import dev.cofferdam.v1.ListTemplatesRequest;
import dev.cofferdam.v1.ListTemplatesResponse;
import dev.cofferdam.v1.SandboxSize;
import dev.cofferdam.v1.Template;
import dev.cofferdam.v1.TemplateServiceGrpc;
import dev.cofferdam.v1.TemplateSource;
import dev.cofferdam.v1.TemplateState;
import io.grpc.StatusException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code template create|ls|rm}. */
@Command(
    name = "template",
    mixinStandardHelpOptions = true,
    description = "What sandboxes are made of.")
final class TemplateCommands {
  private TemplateCommands() {}

  static CommandLine commandLine(Context context) {
    return new CommandLine(new TemplateCommands())
        .addSubcommand(new Create(context))
        .addSubcommand(new Ls(context))
        .addSubcommand(new Rm(context));
  }

  private static TemplateServiceGrpc.TemplateServiceBlockingV2Stub stub(Connections connections) {
    return TemplateServiceGrpc.newBlockingV2Stub(connections.api())
        .withDeadlineAfter(SandboxCommands.PATIENT_S, TimeUnit.SECONDS);
  }

  private static String state(Template template) {
    return template.getState().name().replace("TEMPLATE_STATE_", "").toLowerCase(Locale.ROOT);
  }

  /** Of what it is made. */
  private static final class Source {
    @Option(
        names = "--image",
        paramLabel = "HOST[:PORT]/NAME[:TAG|@DIGEST]",
        description = "An image of a registry that the node allows.")
    private String image = "";

    @Option(
        names = "--file",
        paramLabel = "NAME",
        description = "An image in the operator's directory on the node.")
    private String file = "";

    @Option(
        names = "--debian",
        description = "The built-in Debian, with packages and steps of your own.")
    private boolean debian;
  }

  /** What is built on top of a Debian. */
  private static final class Build {
    @Option(
        names = "--package",
        paramLabel = "NAME[=VERSION]",
        description = "To be installed, with --debian; repeatable.")
    private List<String> packages = new ArrayList<>();

    @Option(
        names = "--step",
        paramLabel = "COMMAND",
        description =
            "Run by a shell as root after that, with --debian; repeatable, in this order.")
    private List<String> steps = new ArrayList<>();

    @Option(
        names = "--source",
        paramLabel = "LINE",
        description =
            "Where packages come from, as a line of sources.list; repeatable. Default: the base's.")
    private List<String> sources = new ArrayList<>();

    @Option(
        names = "--allow-net",
        paramLabel = "HOST[:PORT]",
        description = "What the build may reach, with --debian; repeatable. Else nothing.")
    private List<String> hosts = new ArrayList<>();

    private DebianSource source() {
      EgressPolicy.Builder policy = EgressPolicy.newBuilder();
      hosts.forEach(host -> policy.addRules(SandboxOptions.rule(host)));
      return DebianSource.newBuilder()
          .addAllPackages(packages)
          .addAllSteps(steps)
          .addAllSources(sources)
          .setEgressPolicy(policy)
          .build();
    }

    private boolean isEmpty() {
      return packages.isEmpty() && steps.isEmpty() && sources.isEmpty() && hosts.isEmpty();
    }
  }

  @Command(
      name = "create",
      mixinStandardHelpOptions = true,
      description =
          "Makes a template of an OCI image, or of a Debian with packages and steps, and returns"
              + " once it is ready.")
  private static final class Create implements Callable<Integer> {
    private final Context context;

    @Parameters(paramLabel = "NAME", description = "Of the template.")
    private String name = "";

    @ArgGroup(multiplicity = "1")
    private Source source = new Source();

    @Mixin private Build build = new Build();

    @Option(
        names = "--kernel",
        paramLabel = "NAME",
        description = "In the operator's directory on the node. Default: the built-in one.")
    private String kernel = "";

    @Option(names = "--cpus", paramLabel = "N", description = "Of sandboxes that name none.")
    private int cpus;

    @Option(names = "--memory", paramLabel = "MIB", description = "Of sandboxes that name none.")
    private int memory;

    @Option(names = "--disk", paramLabel = "MIB", description = "Of sandboxes that name none.")
    private int disk;

    @Option(names = "--no-wait", description = "Return at once: ls tells how far it is.")
    private boolean noWait;

    Create(Context context) {
      this.context = context;
    }

    @Override
    public Integer call() throws StatusException {
      CreateTemplateRequest request =
          CreateTemplateRequest.newBuilder()
              .setName(name)
              .setRequestId(UUID.randomUUID().toString())
              .setSource(source().setKernel(kernel))
              .setDefaultSize(
                  SandboxSize.newBuilder().setVcpus(cpus).setMemoryMib(memory).setDiskMib(disk))
              .build();
      try (Connections connections = context.connections().get()) {
        Template template = stub(connections).createTemplate(request);
        while (!noWait && template.getState() == TemplateState.TEMPLATE_STATE_MAKING) {
          template =
              stub(connections)
                  .getTemplate(GetTemplateRequest.newBuilder().setName(name).setWait(true).build());
        }
        if (template.getState() == TemplateState.TEMPLATE_STATE_FAILED) {
          context.err().println("cofferdam: " + name + ": " + template.getMessage());
          return Main.FAILED;
        }
        context.out().println(noWait ? state(template) : template.getDigest());
        return 0;
      }
    }

    private TemplateSource.Builder source() {
      if (source.debian) {
        return TemplateSource.newBuilder().setDebian(build.source());
      }
      if (!build.isEmpty()) {
        throw new ClientException(
            "--package, --step, --source and --allow-net say how a --debian is built");
      }
      return source.image.isEmpty()
          ? TemplateSource.newBuilder().setFile(source.file)
          : TemplateSource.newBuilder().setRegistry(source.image);
    }
  }

  @Command(
      name = "ls",
      mixinStandardHelpOptions = true,
      description = "Lists templates by name: your own, and the operator's that they do not hide.")
  private static final class Ls implements Callable<Integer> {
    private final Context context;

    Ls(Context context) {
      this.context = context;
    }

    @Override
    public Integer call() throws StatusException {
      try (Connections connections = context.connections().get()) {
        Table table = new Table("TEMPLATE", "OF", "STATE", "SOURCE", "DIGEST", "WHY");
        String page = "";
        do {
          ListTemplatesResponse answer =
              stub(connections)
                  .listTemplates(ListTemplatesRequest.newBuilder().setPageToken(page).build());
          answer.getTemplatesList().forEach(template -> table.row(row(template)));
          page = answer.getNextPageToken();
        } while (!page.isEmpty());
        context.out().print(table.text());
        return 0;
      }
    }

    private static List<String> row(Template template) {
      TemplateSource source = template.getSource();
      return List.of(
          template.getName(),
          template.getTenant().isEmpty() ? "operator" : template.getTenant(),
          state(template),
          switch (source.getSourceCase()) {
            case REGISTRY -> source.getRegistry();
            case FILE -> source.getFile();
            case DEBIAN -> "debian";
            case SOURCE_NOT_SET -> "";
          },
          template.getDigest(),
          template.getMessage());
    }
  }

  @Command(
      name = "rm",
      mixinStandardHelpOptions = true,
      description = "Removes templates. Sandboxes that were made of them go on.")
  private static final class Rm implements Callable<Integer> {
    private final Context context;

    @Parameters(paramLabel = "TEMPLATE", arity = "1..*", description = "Their names.")
    private List<String> templates = new ArrayList<>();

    Rm(Context context) {
      this.context = context;
    }

    @Override
    public Integer call() throws StatusException {
      context.each(
          templates,
          (connections, template) ->
              stub(connections)
                  .deleteTemplate(DeleteTemplateRequest.newBuilder().setName(template).build()));
      return 0;
    }
  }
}
