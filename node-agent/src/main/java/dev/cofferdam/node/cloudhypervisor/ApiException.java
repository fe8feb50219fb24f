package dev.cofferdam.node.cloudhypervisor;

/**
 * Cloud Hypervisor did not do what it was told: it refused, was not reached or did not answer in
 * time.
 */
sealed class ApiException extends RuntimeException permits ApiRefusal, ApiUnreached {
  private static final long serialVersionUID = 1L;

  ApiException(String message) {
    super(message);
  }

  ApiException(String message, Throwable cause) {
    super(message, cause);
  }
}
