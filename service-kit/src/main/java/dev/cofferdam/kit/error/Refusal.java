package dev.cofferdam.kit.error;

import dev.cofferdam.v1.ErrorReason;
import java.util.Map;

/**
 * A call refused for a reason that its caller can act on. The message names the value and what was
 * expected.
 */
public final class Refusal extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final ErrorReason reason;
  private final transient Map<String, String> metadata;

  public Refusal(ErrorReason reason, String message) {
    this(reason, message, Map.of());
  }

  /**
   * @param metadata facts for programs, sent as the {@code metadata} of the {@code ErrorInfo};
   *     never a value or a token
   */
  public Refusal(ErrorReason reason, String message, Map<String, String> metadata) {
    super(message);
    this.reason = reason;
    this.metadata = Map.copyOf(metadata);
  }

  public ErrorReason reason() {
    return reason;
  }

  public Map<String, String> metadata() {
    return metadata;
  }
}
