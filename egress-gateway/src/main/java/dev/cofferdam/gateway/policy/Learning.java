package dev.cofferdam.gateway.policy;

import dev.cofferdam.v1.EgressPolicy;
import java.util.Set;

/** What mode LEARN lets through where no rule matches: requests to public names. */
public final class Learning {
  /**
   * Names that mean something only within a network (RFC 6761, 6762, 7686, 8375; ICANN's
   * .internal).
   */
  private static final Set<String> LOCAL =
      Set.of("localhost", "local", "internal", "intranet", "lan", "home", "corp", "arpa", "onion");

  /** What such a request goes under: nobody wrote it. */
  static final Rule RULE =
      new Rule(
          new Rule.Match.Anything(),
          Rule.DEFAULT_PORTS,
          /* allow= */ true,
          /* passthrough= */ false,
          Terms.NONE);

  private Learning() {}

  /**
   * @throws IllegalArgumentException for a mode that is not known, whose rules nobody may read as
   *     if it were another's
   */
  static boolean asked(EgressPolicy policy) {
    return switch (policy.getMode()) {
      case POLICY_MODE_UNSPECIFIED, POLICY_MODE_ENFORCE -> false;
      case POLICY_MODE_LEARN -> true;
      case UNRECOGNIZED ->
          throw new IllegalArgumentException("mode " + policy.getModeValue() + " is unknown");
    };
  }

  /** Where a name leads is judged later, by its addresses; these need not be asked for at all. */
  static boolean lets(Host.Name name) {
    String text = name.value();
    int dot = text.lastIndexOf('.');
    return dot > 0 && !LOCAL.contains(text.substring(dot + 1));
  }
}
