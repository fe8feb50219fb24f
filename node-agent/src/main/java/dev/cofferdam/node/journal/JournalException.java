package dev.cofferdam.node.journal;

/** The journal cannot be read or written. Nothing may be done that it does not know of. */
public final class JournalException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public JournalException(String message) {
    super(message);
  }

  public JournalException(String message, Throwable cause) {
    super(message, cause);
  }
}
