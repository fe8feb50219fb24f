package dev.cofferdam.broker.oauth;

/** There is no access token. Carries nothing of what the endpoint sent but a code of RFC 6749. */
public final class TokenException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final boolean refused;

  private TokenException(String message, boolean refused) {
    super(message);
    this.refused = refused;
  }

  static TokenException refused(String message) {
    return new TokenException(message, true);
  }

  static TokenException unavailable(String message) {
    return new TokenException(message, false);
  }

  /** Whether the endpoint refused the credentials, as it will again. */
  public boolean refused() {
    return refused;
  }
}
