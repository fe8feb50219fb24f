package dev.cofferdam.node.qemu;

/** QEMU refused a command, or its QMP connection ended. */
final class QmpException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  QmpException(String message) {
    super(message);
  }

  QmpException(String message, Throwable cause) {
    super(message, cause);
  }
}
