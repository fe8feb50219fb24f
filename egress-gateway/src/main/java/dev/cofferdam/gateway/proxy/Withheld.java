package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.slot.Attachment;
import dev.cofferdam.v1.EgressReason;
import java.util.Optional;

/** Why no secret is used at present, whichever it is. */
record Withheld(EgressReason reason, String message) {
  static Optional<Withheld> at(Surroundings surroundings, Attachment attachment) {
    if (attachment.policy().learns()) {
      return Optional.of(
          new Withheld(
              EgressReason.EGRESS_REASON_LEARNING,
              "the policy is in mode LEARN, in which no secret is used"));
    }
    return surroundings.decisions().full()
        ? Optional.of(
            new Withheld(
                EgressReason.EGRESS_REASON_SPOOL_FULL,
                "decisions are being lost, so no secret may be used"))
        : Optional.empty();
  }
}
