package dev.cofferdam.broker.catalog;

import dev.cofferdam.broker.policy.Binding;
import dev.cofferdam.broker.policy.OAuth;
import dev.cofferdam.broker.policy.PlaceholderShape;
import dev.cofferdam.broker.policy.UseLimits;
import dev.cofferdam.broker.secret.SecretKey;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.UUID;

/**
 * Everything known of a secret but its value.
 *
 * @param id differs from that of a deleted secret of the same name
 * @param value the present value's id in the store
 * @param version of the value, from 1
 * @param revision rises with every change of this record
 * @param weak its value may be shorter than 16 bytes
 * @param forkMode what becomes of its placeholders in copies of a sandbox
 * @param limits of each sandbox that has it
 * @param shape of its placeholders, for as long as it is there; empty for the usual one
 * @param oauth how access tokens are fetched with its value, which are handed out in place of it
 */
public record Secret(
    UUID id,
    UUID value,
    String tenant,
    String name,
    long version,
    long revision,
    boolean weak,
    ForkMode forkMode,
    List<Binding> bindings,
    UseLimits limits,
    Optional<PlaceholderShape> shape,
    Optional<OAuth> oauth,
    Instant createTime,
    Instant updateTime) {
  public Secret {
    bindings = Binding.checked(bindings);
  }

  /** Where its present value lies. */
  public SecretKey key() {
    return new SecretKey(tenant, name, value, version);
  }

  /** Of this state of this secret and of no other. */
  public String etag() {
    return "%08x-%x".formatted((int) id.getLeastSignificantBits(), revision);
  }
}
