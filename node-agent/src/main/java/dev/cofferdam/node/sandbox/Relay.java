package dev.cofferdam.node.sandbox;

import dev.cofferdam.node.guest.Guest;

/**
 * The way to a running guest.
 *
 * @param token for the guest's agent
 */
public record Relay(Guest guest, String token) {
  @Override
  public String toString() {
    return "Relay[]";
  }
}
