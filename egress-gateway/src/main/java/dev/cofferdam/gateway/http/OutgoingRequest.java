package dev.cofferdam.gateway.http;

import dev.cofferdam.gateway.scrub.Scrubber;
import dev.cofferdam.gateway.scrub.SecretValue;
import dev.cofferdam.kit.http.HeadValues;
import dev.cofferdam.kit.http.RequestHead;
import io.netty.buffer.ByteBuf;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

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
    Optional<Scrubber> scrubber)
    implements HeadValues {
  public OutgoingRequest {
    sealed = Map.copyOf(sealed);
  }

  @Override
  public boolean writeTarget(ByteBuf out) {
    if (target.isEmpty()) {
      return false;
    }
    target.get().writeTo(out);
    return true;
  }

  @Override
  public boolean writeValue(int place, ByteBuf out) {
    @Nullable SecretValue value = sealed.get(place);
    if (value == null) {
      return false;
    }
    value.writeTo(out);
    return true;
  }

  /** Once it was written. */
  void wipe() {
    target.ifPresent(SecretValue::close);
    sealed.values().forEach(SecretValue::close);
  }
}
