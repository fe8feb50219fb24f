package dev.cofferdam.gateway;

import java.util.HashMap;
import java.util.Map;

/**
 * The listeners that {@code node-helper} made in the gate's namespace and left open for this
 * process. Source: docs/architecture.md, "The network of one sandbox".
 *
 * @param tcp a transparent listener: what it accepts has the address that the guest asked for
 */
public record InheritedSockets(int tcp, int dnsUdp, int dnsTcp) {
  /** The variable that names them. */
  public static final String VARIABLE = "COFFERDAM_GATEWAY_FDS";

  /**
   * @param text {@code tcp:3,dns-udp:4,dns-tcp:5}
   * @throws IllegalArgumentException for anything else
   */
  public static InheritedSockets parse(String text) {
    Map<String, Integer> byName = new HashMap<>();
    for (String entry : text.split(",", -1)) {
      if (!entry.matches("[a-z-]+:[0-9]{1,6}")) {
        throw new IllegalArgumentException(
            VARIABLE + " is '" + text + "', expected tcp:N,dns-udp:N,dns-tcp:N");
      }
      int colon = entry.indexOf(':');
      byName.put(entry.substring(0, colon), Integer.parseInt(entry.substring(colon + 1)));
    }
    return new InheritedSockets(
        named(byName, "tcp", text), named(byName, "dns-udp", text), named(byName, "dns-tcp", text));
  }

  private static int named(Map<String, Integer> byName, String name, String text) {
    Integer descriptor = byName.get(name);
    if (descriptor == null) {
      throw new IllegalArgumentException(VARIABLE + " is '" + text + "', it names no " + name);
    }
    return descriptor;
  }
}
