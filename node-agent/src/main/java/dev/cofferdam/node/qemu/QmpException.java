package dev.cofferdam.node.qemu;

/** QEMU did not do what it was told: it refused, was not reached or did not answer in time. */
sealed class QmpException extends RuntimeException permits QmpRefusal {
  private static final long serialVersionUID = 1L;

  QmpException(String message) {
    super(message);
  }

  QmpException(String message, Throwable cause) {
    super(message, cause);
  }
}
