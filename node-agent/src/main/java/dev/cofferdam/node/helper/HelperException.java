package dev.cofferdam.node.helper;

/** node-helper refused or could not be asked. */
public final class HelperException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** What kind of failure. */
  public enum Code {
    /** The request made no sense to it. */
    INVALID,
    NOT_FOUND,
    EXISTS,
    /** It tried and did not succeed. */
    FAILED,
    /**
     * It could not be reached, or went away before it answered: the act may or may not have
     * happened.
     */
    UNAVAILABLE
  }

  private final Code code;

  public HelperException(Code code, String message) {
    super(message);
    this.code = code;
  }

  public HelperException(Code code, String message, Throwable cause) {
    super(message, cause);
    this.code = code;
  }

  public Code code() {
    return code;
  }
}
