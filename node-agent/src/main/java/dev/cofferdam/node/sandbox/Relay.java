package dev.cofferdam.node.sandbox;

import io.grpc.Channel;

/**
 * The way to a running guest.
 *
 * @param token for the guest's agent
 */
public record Relay(Channel channel, String token) {
  @Override
  public String toString() {
    return "Relay[]";
  }
}
