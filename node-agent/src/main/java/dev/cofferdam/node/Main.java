package dev.cofferdam.node;

import dev.cofferdam.kit.app.ServiceMain;

/**
 * {@code node-agent --config FILE}. It ends by itself, with status 70, when it can no longer do
 * what it is there for; whoever supervises it starts it again.
 */
public final class Main {
  /** EX_SOFTWARE of sysexits(3), as for a service that cannot start. */
  private static final int FAILED = 70;

  private Main() {}

  public static void main(String[] args) {
    ServiceMain.run(
        "node-agent",
        args,
        settings -> NodeApp.start(NodeConfig.read(settings), () -> System.exit(FAILED)));
  }
}
