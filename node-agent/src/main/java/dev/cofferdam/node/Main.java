package dev.cofferdam.node;

import dev.cofferdam.kit.app.ServiceMain;

/** {@code node-agent --config FILE}. */
public final class Main {
  private Main() {}

  public static void main(String[] args) {
    ServiceMain.run("node-agent", args, settings -> NodeApp.start(NodeConfig.read(settings)));
  }
}
