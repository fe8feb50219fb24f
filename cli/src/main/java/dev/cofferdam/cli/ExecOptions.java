package dev.cofferdam.cli;

import dev.cofferdam.v1.ProcessExited;
import dev.cofferdam.v1.ProcessSpec;
import io.grpc.Channel;
import io.grpc.StatusException;
import java.io.IOException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine.Option;

/** How a command is run in a sandbox, by {@code run} and {@code sandbox exec}. */
final class ExecOptions {
  /** As shells tell of a program that a signal ended. */
  private static final int SIGNALLED = 128;

  @Option(
      names = {"-t", "--tty"},
      description = "A terminal for the command.")
  private boolean tty;

  @Option(
      names = {"-w", "--workdir"},
      paramLabel = "DIR",
      description = "Where it starts.")
  private String directory = "";

  @Option(
      names = {"-u", "--user"},
      paramLabel = "NAME",
      description = "A user of the guest. Default: root of the guest.")
  private String user = "";

  @Option(
      names = "--process-env",
      paramLabel = "KEY=VALUE",
      description = "A variable of this process alone; repeatable.")
  private Map<String, String> environment = new HashMap<>();

  /** The command's exit code, or 128 and its signal. */
  int run(Context context, Channel channel, String sandbox, List<String> command)
      throws StatusException, IOException, InterruptedException {
    boolean terminal = tty && context.terminal().interactive();
    if (tty && !terminal) {
      throw new ClientException("-t needs a terminal on stdin and stdout");
    }
    ProcessSpec.Builder spec =
        ProcessSpec.newBuilder()
            .addAllArgv(command)
            .putAllEnv(environment)
            .setWorkingDirectory(directory)
            .setUser(user)
            .setProcess("cli-" + UUID.randomUUID());
    if (terminal) {
      spec.setTerminal(context.terminal().size());
    }
    ProcessSession session =
        new ProcessSession(channel, sandbox, spec.build(), context.out(), context.err());
    // Reading stdin blocks until the person types: a daemon, so that it holds up nobody's end.
    Thread.ofPlatform().daemon().name("stdin").start(() -> pump(context, session));
    context.terminal().onSignal(signal -> Thread.ofVirtual().start(() -> session.signal(signal)));
    ProcessExited exited;
    if (terminal) {
      context.terminal().onResize(() -> Thread.ofVirtual().start(() -> resize(context, session)));
      try (Terminal.Raw _ = context.terminal().raw()) {
        exited = session.run();
      }
    } else {
      exited = session.run();
    }
    return exited.getSignal() != 0 ? SIGNALLED + exited.getSignal() : exited.getExitCode();
  }

  private static void pump(Context context, ProcessSession session) {
    try {
      session.pump(context.in());
    } catch (IOException e) {
      context.err().println("cofferdam: stdin cannot be read: " + e.getMessage());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private static void resize(Context context, ProcessSession session) {
    try {
      session.resize(context.terminal().size());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Of one call that answers at once. */
  static long deadlineSeconds() {
    return TimeUnit.MINUTES.toSeconds(1);
  }
}
