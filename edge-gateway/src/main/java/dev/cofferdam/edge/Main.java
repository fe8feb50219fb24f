package dev.cofferdam.edge;

import dev.cofferdam.kit.app.ServiceMain;

/** {@code edge-gateway --config FILE}. */
public final class Main {
  private Main() {}

  public static void main(String[] args) {
    ServiceMain.run("edge-gateway", args, settings -> EdgeApp.start(EdgeConfig.read(settings)));
  }
}
