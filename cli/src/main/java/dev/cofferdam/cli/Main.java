package dev.cofferdam.cli;

import picocli.CommandLine;
import picocli.CommandLine.Command;

/**
 * {@code cofferdam
 * run|sandbox|snapshot|template|volume|port|ssh-key|secret|token|node|events|egress}.
 */
@Command(
    name = "cofferdam",
    mixinStandardHelpOptions = true,
    description = "The client of a Cofferdam mesh.")
public final class Main {
  /** What a command of ours ends with when it could not do its work. */
  static final int FAILED = 1;

  private Main() {}

  public static void main(String[] args) {
    System.exit(commandLine(Context.system()).execute(args));
  }

  /** The whole client over the given world, as tests and the demo use it. */
  public static CommandLine commandLine(Context context) {
    return ApprovalCommands.addTo(new CommandLine(new Main()), context)
        .addSubcommand(new RunCommand(context))
        .addSubcommand(SandboxCommands.commandLine(context))
        .addSubcommand(SnapshotCommands.commandLine(context))
        .addSubcommand(TemplateCommands.commandLine(context))
        .addSubcommand(VolumeCommands.commandLine(context))
        .addSubcommand(PortCommands.commandLine(context))
        .addSubcommand(SshKeyCommands.commandLine(context))
        .addSubcommand(SecretCommands.commandLine(context))
        .addSubcommand(TokenCommands.commandLine(context))
        .addSubcommand(NodeCommands.commandLine(context))
        .addSubcommand(new EventsCommand(context))
        .addSubcommand(EgressCommands.commandLine(context))
        .setExecutionExceptionHandler((exception, command, parsed) -> {
          context.err().println("cofferdam: " + ErrorLine.of(exception));
          return FAILED;
        });
  }
}
