package dev.cofferdam.gateway.http;

import dev.cofferdam.v1.EgressReason;

/** A message that is answered with an error and the end of its connection. */
public final class MalformedException extends Exception {
  private static final long serialVersionUID = 1L;
  private final int status;
  private final EgressReason reason;

  public MalformedException(int status, EgressReason reason, String message) {
    super(message, null, false, false);
    this.status = status;
    this.reason = reason;
  }

  static MalformedException bad(String message) {
    return new MalformedException(400, EgressReason.EGRESS_REASON_MALFORMED_REQUEST, message);
  }

  public int status() {
    return status;
  }

  public EgressReason reason() {
    return reason;
  }

  public String text() {
    return String.valueOf(getMessage());
  }
}
