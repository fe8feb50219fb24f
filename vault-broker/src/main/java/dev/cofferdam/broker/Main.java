package dev.cofferdam.broker;

import dev.cofferdam.kit.app.ServiceMain;
import java.time.InstantSource;

/** {@code vault-broker --config FILE}. */
public final class Main {
  private Main() {}

  public static void main(String[] args) {
    ServiceMain.run(
        "vault-broker",
        args,
        settings -> BrokerApp.start(BrokerConfig.read(settings), InstantSource.system()));
  }
}
