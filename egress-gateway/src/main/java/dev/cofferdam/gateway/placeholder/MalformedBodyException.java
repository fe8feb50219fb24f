package dev.cofferdam.gateway.placeholder;

/** A body that is not what its type says, or that two readers could take for different things. */
public final class MalformedBodyException extends Exception {
  private static final long serialVersionUID = 1L;

  /**
   * @param what that the body is, without anything of it
   */
  MalformedBodyException(String what) {
    super("the body is " + what, null, false, false);
  }
}
