package dev.cofferdam.node.slot;

import java.nio.file.Path;

/**
 * A sandbox's place in the network, made and empty.
 *
 * @param number 1 to 65,534
 * @param address IPv4, by which the gateway knows the sandbox
 * @param link Unix socket to the guest's agent
 */
public record Slot(int number, String address, Path link) {
  public Slot {
    if (number < 1 || number > 65_534) {
      throw new IllegalArgumentException("slot is " + number + ", expected 1 to 65534");
    }
    if (address.isEmpty()) {
      throw new IllegalArgumentException("slot " + number + " has no address");
    }
  }
}
