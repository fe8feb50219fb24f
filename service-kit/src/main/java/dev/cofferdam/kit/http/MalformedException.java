package dev.cofferdam.kit.http;

/** A message that is answered with an error and the end of its connection. */
public final class MalformedException extends Exception {
  private static final long serialVersionUID = 1L;

  /** Of which each service makes a status and a code of its own. */
  public enum Reason {
    /** It has no reading, or two. */
    SYNTAX,
    HEAD_TOO_LARGE,
    /** CONNECT to a host. */
    CONNECT,
    /** To another protocol than WebSocket, or none as a WebSocket begins. */
    UPGRADE,
    /** RFC 8441: an extended CONNECT to another protocol than WebSocket. */
    EXTENDED_CONNECT
  }

  private final Reason reason;

  public MalformedException(Reason reason, String message) {
    super(message, null, false, false);
    this.reason = reason;
  }

  public static MalformedException bad(String message) {
    return new MalformedException(Reason.SYNTAX, message);
  }

  public Reason reason() {
    return reason;
  }

  public String text() {
    return String.valueOf(getMessage());
  }
}
