package dev.cofferdam.broker.secret;

/** The store did not do what was asked. Carries no cause that could quote a value. */
public final class StoreUnavailableException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public StoreUnavailableException(String message) {
    super(message);
  }
}
