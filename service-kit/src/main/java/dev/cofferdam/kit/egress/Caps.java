package dev.cofferdam.kit.egress;

import dev.cofferdam.v1.RateCap;
import dev.cofferdam.v1.RequestCaps;
import java.time.Duration;

/**
 * How much may leave.
 *
 * @param requests in all; 0: any number
 * @param rate the size of a token bucket that fills evenly within {@code per}; 0: none
 * @param bytes both ways together; 0: any number
 * @param concurrent requests under way; 0: any number
 */
public record Caps(long requests, int rate, Duration per, long bytes, int concurrent) {
  public static final Caps NONE = new Caps(0, 0, Duration.ZERO, 0, 0);

  private static final Duration SHORTEST = Duration.ofSeconds(1);
  private static final Duration LONGEST = Duration.ofHours(24);

  public Caps {
    notNegative("requests", requests);
    notNegative("bytes", bytes);
    notNegative("concurrent", concurrent);
    checkRate(rate, per);
  }

  /**
   * @throws IllegalArgumentException naming what was given and what was expected
   */
  public static Caps of(RequestCaps caps) {
    return new Caps(
        caps.getRequests(),
        caps.getRate().getCount(),
        period(caps.getRate()),
        caps.getBytes(),
        caps.getConcurrent());
  }

  /**
   * @throws IllegalArgumentException for one that cannot be counted with
   */
  public static Duration period(RateCap rate) {
    try {
      return Duration.ofSeconds(rate.getPer().getSeconds(), rate.getPer().getNanos());
    } catch (ArithmeticException e) {
      throw new IllegalArgumentException("the rate's period is none, expected 1s to 24h", e);
    }
  }

  /**
   * @throws IllegalArgumentException for half a rate, or one over an odd period
   */
  public static void checkRate(int count, Duration per) {
    notNegative("the rate's count", count);
    if (count == 0 && !per.isZero()) {
      throw new IllegalArgumentException("the rate has a period and no count, expected both");
    }
    if (count > 0 && (per.compareTo(SHORTEST) < 0 || per.compareTo(LONGEST) > 0)) {
      throw new IllegalArgumentException(
          "the rate's period is %s, expected 1s to 24h".formatted(per));
    }
  }

  private static void notNegative(String what, long number) {
    if (number < 0) {
      throw new IllegalArgumentException(what + " is more than can be counted");
    }
  }
}
