package dev.cofferdam.node.cloudhypervisor;

/** Cloud Hypervisor gave no answer: whether it did what it was told is not known. */
final class ApiUnreached extends ApiException {
  private static final long serialVersionUID = 1L;

  ApiUnreached(String message, Throwable cause) {
    super(message, cause);
  }
}
