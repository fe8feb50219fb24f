package dev.cofferdam.gateway;

import dev.cofferdam.kit.app.ServiceMain;
import java.util.Optional;

/** {@code egress-gateway --config FILE}, with its sockets inherited. */
public final class Main {
  private Main() {}

  public static void main(String[] args) {
    ServiceMain.run(
        "egress-gateway",
        args,
        settings -> {
          GatewayConfig config = GatewayConfig.read(settings);
          String sockets =
              Optional.ofNullable(System.getenv(InheritedSockets.VARIABLE))
                  .orElseThrow(() ->
                      new IllegalArgumentException(
                          InheritedSockets.VARIABLE
                              + " is not set: start it through node-helper gateway-exec"));
          return GatewayApp.start(config, InheritedSockets.parse(sockets));
        });
  }
}
