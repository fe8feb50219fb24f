package dev.cofferdam.gateway;

import dev.cofferdam.kit.app.ServiceMain;
import java.util.Optional;
import org.slf4j.LoggerFactory;

/**
 * {@code egress-gateway --config FILE}, with its sockets inherited, or as an explicit proxy alone.
 */
public final class Main {
  /** As sysexits(3). */
  private static final int SOFTWARE = 70;

  private Main() {}

  /** Whoever started it starts it anew, with sockets that can be used. */
  private static void fail(Throwable why) {
    LoggerFactory.getLogger(Main.class)
        .atError()
        .setMessage("listeners_failed")
        .setCause(why)
        .log();
    System.exit(SOFTWARE);
  }

  public static void main(String[] args) {
    ServiceMain.run(
        "egress-gateway",
        args,
        settings -> {
          GatewayConfig config = GatewayConfig.read(settings);
          Optional<InheritedSockets> sockets =
              Optional.ofNullable(System.getenv(InheritedSockets.VARIABLE))
                  .map(InheritedSockets::parse);
          if (sockets.isEmpty() && config.explicitProxy().isEmpty()) {
            throw new IllegalArgumentException(
                InheritedSockets.VARIABLE
                    + " is not set: start it through node-helper gateway-exec, or set proxy.listen"
                    + " to serve as an explicit proxy alone");
          }
          return GatewayApp.start(config, sockets, Main::fail);
        });
  }
}
