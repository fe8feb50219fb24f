package dev.cofferdam.scheduler.cluster;

import dev.cofferdam.scheduler.placement.NodeView;
import dev.cofferdam.scheduler.sandbox.Isolation;
import java.net.InetSocketAddress;
import java.util.Set;

/**
 * What a node says of itself when it connects.
 *
 * @param name the instance in its certificate
 * @param address host:port of its mesh listener
 * @param limit what all of it could give one sandbox
 * @param slots at least 1
 * @param templates that it can restore at once
 * @param slotPrefix CIDR, for the record
 */
public record NodeRegistration(
    String name,
    String address,
    NodeView.Limit limit,
    int slots,
    Set<String> templates,
    Isolation isolation,
    String hypervisor,
    String slotPrefix) {
  private static final int MAX_TEXT = 255;

  public NodeRegistration {
    if (slots < 1) {
      throw new IllegalArgumentException("slots is " + slots + ", expected at least 1");
    }
    if (hypervisor.length() > MAX_TEXT || slotPrefix.length() > MAX_TEXT) {
      throw new IllegalArgumentException(
          "hypervisor and slotPrefix are at most " + MAX_TEXT + " characters");
    }
    templates = Set.copyOf(templates);
    InetSocketAddress _ = parse(address);
  }

  public InetSocketAddress socketAddress() {
    return parse(address);
  }

  private static InetSocketAddress parse(String address) {
    int colon = address.lastIndexOf(':');
    try {
      int port = Integer.parseInt(address.substring(colon + 1));
      if (colon > 0 && colon <= MAX_TEXT && port > 0 && port <= 65535) {
        return InetSocketAddress.createUnresolved(address.substring(0, colon), port);
      }
    } catch (NumberFormatException e) {
      // Refused below, as a missing colon is.
    }
    throw new IllegalArgumentException("address is '" + address + "', expected host:port");
  }
}
