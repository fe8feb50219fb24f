package dev.cofferdam.edge.session;

/** The session is over: whoever works for it stops. */
public final class SessionClosedException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  SessionClosedException(String message) {
    super(message, null, false, false);
  }
}
