package dev.cofferdam.deploy;

import picocli.CommandLine;

/** {@code java dev.cofferdam.deploy.Main up|down|env|demo}, called by the script in the root. */
@CommandLine.Command(
    name = "cofferdam",
    subcommands = {UpCommand.class, DownCommand.class, EnvCommand.class, DemoCommand.class},
    mixinStandardHelpOptions = true,
    description = "Runs one mesh on this machine.")
public final class Main {
  private Main() {}

  public static void main(String[] args) {
    System.exit(commandLine().execute(args));
  }

  static CommandLine commandLine() {
    return new CommandLine(new Main())
        .setExecutionExceptionHandler((exception, command, parsed) -> {
          command.getErr().println("cofferdam: " + exception.getMessage());
          return 1;
        });
  }
}
