package dev.cofferdam.broker.policy;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.ErrorReason;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;

/**
 * How often and how long a sandbox may use a secret.
 *
 * @param uses in all; 0: any number
 * @param rate how many at once; a token bucket of that size fills evenly within {@code per}; 0: any
 * @param per 1 s to 24 h, where there is a rate
 * @param expireTime from when on there is no use any more
 */
public record UseLimits(long uses, int rate, Duration per, Optional<Instant> expireTime) {
  public static final UseLimits NONE = new UseLimits(0, 0, Duration.ZERO, Optional.empty());

  private static final Duration LONGEST = Duration.ofHours(24);

  public UseLimits {
    if (uses < 0) {
      throw invalid("uses is %s, expected less than 2^63".formatted(Long.toUnsignedString(uses)));
    }
    if (rate < 0) {
      throw invalid(
          "the rate's count is %s, expected less than 2^31"
              .formatted(Integer.toUnsignedString(rate)));
    }
    if (rate == 0 ? !per.isZero() : per.toMillis() < 1000 || per.compareTo(LONGEST) > 0) {
      throw invalid(
          rate == 0
              ? "the rate has a period and no count, expected both"
              : "the rate's period is %s, expected 1s to 24h".formatted(per));
    }
  }

  /** Whether uses have to be counted. */
  public boolean counted() {
    return uses > 0 || rate > 0;
  }

  public boolean expired(Instant now) {
    return expireTime.isPresent() && !now.isBefore(expireTime.get());
  }

  /** Refuses what allows any use that the present limits do not. */
  public void checkNarrower(UseLimits wanted) {
    boolean wider =
        (uses > 0 && (wanted.uses == 0 || wanted.uses > uses))
            || (rate > 0 && (wanted.rate == 0 || wanted.rate > rate || wanted.slower() < slower()))
            || (expireTime.isPresent()
                && (wanted.expireTime.isEmpty()
                    || wanted.expireTime.get().isAfter(expireTime.get())));
    if (wider) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_BINDING_WIDENED,
          "the limits allow more than the present ones; widening needs the value again");
    }
  }

  /** How long one token takes. */
  private double slower() {
    return (double) per.toMillis() / rate;
  }

  private static Refusal invalid(String message) {
    return new Refusal(ErrorReason.ERROR_REASON_BINDING_INVALID, message);
  }
}
