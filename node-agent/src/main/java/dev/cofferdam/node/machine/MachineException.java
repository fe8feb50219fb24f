package dev.cofferdam.node.machine;

/**
 * A virtual machine did not do what was asked. The message is for the operator and names no guest's
 * data.
 */
public final class MachineException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public MachineException(String message) {
    super(message);
  }

  public MachineException(String message, Throwable cause) {
    super(message, cause);
  }
}
