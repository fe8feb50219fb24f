package dev.cofferdam.gateway.slot;

import com.google.protobuf.ByteString;
import dev.cofferdam.gateway.placeholder.Grant;
import dev.cofferdam.gateway.placeholder.Judge;
import dev.cofferdam.gateway.policy.Policy;
import java.net.InetAddress;
import java.time.Instant;
import java.util.List;
import java.util.Optional;

/**
 * What the broker says of one sandbox. Replaced as a whole, never changed.
 *
 * @param slot the address that the sandbox's connections come from
 * @param epoch rises with each assignment to a node: of two attachments the higher one counts
 * @param tokenHash SHA-256 of the token by which an egress session is known at the explicit proxy;
 *     it is in no slot, and its address is one that no packet comes from
 */
public record Attachment(
    String sandbox,
    String tenant,
    String lineage,
    long generation,
    long epoch,
    String node,
    InetAddress slot,
    Policy policy,
    long revision,
    List<Grant> grants,
    Judge judge,
    Optional<ByteString> tokenHash) {
  public Attachment {
    if (sandbox.isEmpty() || tenant.isEmpty() || lineage.isEmpty()) {
      throw new IllegalArgumentException(
          "attachment of sandbox '%s', tenant '%s', lineage '%s': none may be empty"
              .formatted(sandbox, tenant, lineage));
    }
    grants = List.copyOf(grants);
  }

  /** The same at another time. */
  Attachment at(Instant now) {
    Policy then = policy.at(now);
    return then.equals(policy)
        ? this
        : new Attachment(
            sandbox,
            tenant,
            lineage,
            generation,
            epoch,
            node,
            slot,
            then,
            revision,
            grants,
            judge,
            tokenHash);
  }

  /** Whether this is the other's assignment to its slot, as it was or changed since. */
  boolean includes(Attachment made) {
    return sandbox.equals(made.sandbox())
        && epoch == made.epoch()
        && generation == made.generation()
        && slot.equals(made.slot())
        && revision >= made.revision();
  }
}
