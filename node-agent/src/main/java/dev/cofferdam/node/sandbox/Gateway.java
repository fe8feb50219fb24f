package dev.cofferdam.node.sandbox;

/** The way out of a slot. What it allows is between the gateway and the broker. */
public interface Gateway {
  /**
   * Returns once the sandbox's policy is in force for the slot.
   *
   * @throws io.grpc.StatusRuntimeException the gateway's or the broker's refusal, with its reason
   * @throws dev.cofferdam.kit.error.Refusal GATEWAY_UNAVAILABLE
   */
  void attach(String sandbox, String slotAddress, String ticket);

  /** Closes what the slot has open. Idempotent. Throws as {@link #attach} does. */
  void detach(String sandbox, String slotAddress, long epoch);
}
