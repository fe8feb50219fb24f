package dev.cofferdam.gateway.placeholder;

import dev.cofferdam.v1.EgressReason;
import java.util.List;

/** What the placeholders of a request, or their absence, mean for it. */
public sealed interface Judgement {
  /**
   * @param uses empty when no value is needed
   */
  record Proceed(List<Use> uses) implements Judgement {}

  /**
   * @param secret its name; empty for a placeholder that was never granted here
   */
  record Refuse(EgressReason reason, String message, String secret, Target target)
      implements Judgement {}
}
