package dev.cofferdam.loadtest;

import picocli.CommandLine;
import picocli.CommandLine.Command;

/**
 * One program, some workloads; {@code loadtest/run.sh} starts it, where that needs one beside a
 * mesh of its own.
 */
@Command(
    name = "loadtest",
    mixinStandardHelpOptions = true,
    subcommands = {
      AttachCommand.class,
      BodiesCommand.class,
      CreateCommand.class,
      FloodCommand.class,
      HttpsCommand.class,
      IdleCommand.class,
      LoadClient.class,
      PolicyCommand.class,
      SdkCommand.class
    },
    description = "Measures a running mesh, which the variables of `cofferdam env` describe.")
public final class Main {
  private Main() {}

  public static void main(String[] args) {
    System.exit(
        new CommandLine(new Main())
            .setCaseInsensitiveEnumValuesAllowed(true)
            .setExecutionExceptionHandler((exception, command, parsed) -> {
              exception.printStackTrace(command.getErr());
              return 1;
            })
            .execute(args));
  }
}
