package dev.cofferdam.edge.port;

/** Nobody is left to be answered. */
final class ClientGoneException extends Exception {
  private static final long serialVersionUID = 1L;

  ClientGoneException(String message) {
    super(message, null, false, false);
  }
}
