package dev.cofferdam.node.qemu;

/** QEMU answered that it will not. */
final class QmpRefusal extends QmpException {
  private static final long serialVersionUID = 1L;

  QmpRefusal(String message) {
    super(message);
  }
}
