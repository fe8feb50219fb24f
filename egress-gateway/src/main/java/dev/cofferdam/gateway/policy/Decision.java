package dev.cofferdam.gateway.policy;

import dev.cofferdam.v1.EgressReason;

/** What a policy says to a destination. */
public sealed interface Decision {
  /**
   * @param passthrough relay the bytes without looking at them
   */
  record Allowed(boolean passthrough) implements Decision {}

  /**
   * @param message for people, naming what was asked for
   */
  record Denied(EgressReason reason, String message) implements Decision {}
}
