package dev.cofferdam.cli;

/** Ends the command with one line that says what is wrong and what to do. */
public final class ClientException extends RuntimeException {
  public ClientException(String message) {
    super(message);
  }
}
