package dev.cofferdam.edge.http;

/** A message that is answered with an error and the end of its connection. */
public final class MalformedException extends Exception {
  private static final long serialVersionUID = 1L;
  private final int status;
  private final String code;

  public MalformedException(int status, String code, String message) {
    super(message, null, false, false);
    this.status = status;
    this.code = code;
  }

  static MalformedException bad(String message) {
    return new MalformedException(400, "MALFORMED_REQUEST", message);
  }

  public int status() {
    return status;
  }

  public String code() {
    return code;
  }

  public String text() {
    return String.valueOf(getMessage());
  }
}
