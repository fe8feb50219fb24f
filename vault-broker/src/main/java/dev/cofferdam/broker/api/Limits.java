package dev.cofferdam.broker.api;

import dev.cofferdam.broker.policy.UseLimits;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.RateCap;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;

/** Limits on a secret's use, from the contract's message and back. */
final class Limits {
  private Limits() {}

  static UseLimits of(dev.cofferdam.v1.UseLimits limits) {
    try {
      return new UseLimits(
          limits.getUses(),
          limits.getRate().getCount(),
          Duration.ofSeconds(
              limits.getRate().getPer().getSeconds(), limits.getRate().getPer().getNanos()),
          limits.hasExpireTime()
              ? Optional.of(
                  Instant.ofEpochSecond(
                      limits.getExpireTime().getSeconds(), limits.getExpireTime().getNanos()))
              : Optional.empty());
    } catch (ArithmeticException | DateTimeException e) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_BINDING_INVALID,
          "the limits have a time that cannot be counted with");
    }
  }

  static dev.cofferdam.v1.UseLimits message(UseLimits limits) {
    dev.cofferdam.v1.UseLimits.Builder message =
        dev.cofferdam.v1.UseLimits.newBuilder().setUses(limits.uses());
    if (limits.rate() > 0) {
      message.setRate(
          RateCap.newBuilder()
              .setCount(limits.rate())
              .setPer(
                  com.google.protobuf.Duration.newBuilder()
                      .setSeconds(limits.per().toSeconds())
                      .setNanos(limits.per().toNanosPart())));
    }
    limits.expireTime().map(Answers::timestamp).ifPresent(message::setExpireTime);
    return message.build();
  }
}
