package dev.cofferdam.gateway.http;

import dev.cofferdam.gateway.scrub.Scrubber;
import dev.cofferdam.gateway.scrub.SecretValue;
import java.util.Map;
import java.util.Optional;

/**
 * A request as it goes to the upstream.
 *
 * @param tls for {@code :scheme}
 * @param target the path and query to send in place of those in the head. Whoever writes the
 *     request closes it.
 * @param sealed by the place of a header in {@code head.headers()}: the value to send in place of
 *     the text there. Whoever writes the request closes them.
 * @param scrubber of the answer, where a secret is in the request
 */
public record OutgoingRequest(
    RequestHead head,
    boolean tls,
    Optional<SecretValue> target,
    Map<Integer, SecretValue> sealed,
    Optional<Scrubber> scrubber) {
  public OutgoingRequest {
    sealed = Map.copyOf(sealed);
  }

  /** Once it was written. */
  void wipe() {
    target.ifPresent(SecretValue::close);
    sealed.values().forEach(SecretValue::close);
  }
}
