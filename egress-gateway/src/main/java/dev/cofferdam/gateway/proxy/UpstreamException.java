package dev.cofferdam.gateway.proxy;

import dev.cofferdam.v1.EgressReason;

/** Why a request did not reach its upstream. */
final class UpstreamException extends Exception {
  private static final long serialVersionUID = 1L;
  private final EgressReason reason;

  UpstreamException(EgressReason reason, String message) {
    super(message, null, false, false);
    this.reason = reason;
  }

  EgressReason reason() {
    return reason;
  }
}
