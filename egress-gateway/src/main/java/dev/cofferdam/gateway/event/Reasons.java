package dev.cofferdam.gateway.event;

import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.Verdict;
import java.util.Locale;

/** How a reason is written to a guest and in metrics. */
public final class Reasons {
  private static final String PREFIX = "EGRESS_REASON_";

  private Reasons() {}

  /** {@code allowed}. */
  public static String text(Verdict verdict) {
    return verdict.name().replace("VERDICT_", "").toLowerCase(Locale.ROOT);
  }

  /** {@code host_not_allowed}; {@code none} where there is none. */
  public static String text(EgressReason reason) {
    return reason == EgressReason.EGRESS_REASON_UNSPECIFIED
        ? "none"
        : reason.name().substring(PREFIX.length()).toLowerCase(Locale.ROOT);
  }
}
