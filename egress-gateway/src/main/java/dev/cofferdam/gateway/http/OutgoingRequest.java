package dev.cofferdam.gateway.http;

import dev.cofferdam.gateway.scrub.Scrubber;
import dev.cofferdam.gateway.scrub.SecretValue;
import java.util.Map;
import java.util.Optional;

/**
 * A request as it goes to the upstream.
 *
 * @param tls for {@code :scheme}
 * @param sealed by the place of a header in {@code head.headers()}: the value to send in place of
 *     the text there. Whoever writes the request closes them.
 * @param scrubber of the answer, where a secret is in the request
 */
public record OutgoingRequest(
    RequestHead head, boolean tls, Map<Integer, SecretValue> sealed, Optional<Scrubber> scrubber) {
  public OutgoingRequest {
    sealed = Map.copyOf(sealed);
  }
}
