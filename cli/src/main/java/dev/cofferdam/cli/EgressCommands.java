package dev.cofferdam.cli;

import picocli.CommandLine;
import picocli.CommandLine.Command;

/** {@code cofferdam egress run}. */
@Command(
    name = "egress",
    mixinStandardHelpOptions = true,
    description = "The way out for programs in no sandbox.")
final class EgressCommands {
  private EgressCommands() {}

  static CommandLine commandLine(Context context) {
    return new CommandLine(new EgressCommands()).addSubcommand(new EgressRunCommand(context));
  }
}
