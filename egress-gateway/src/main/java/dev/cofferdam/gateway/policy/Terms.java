package dev.cofferdam.gateway.policy;

import com.google.protobuf.ByteString;
import dev.cofferdam.kit.egress.Caps;
import dev.cofferdam.kit.egress.RequestMatch;
import dev.cofferdam.kit.egress.Schedule;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.RuleAction;
import java.util.Optional;

/**
 * What a rule says beside hosts and ports.
 *
 * @param number of the rule, from 1 and as written, for messages
 * @param identity of what it is about: what was counted under a rule goes on to count when only its
 *     caps change
 * @param request what a request must be like, too; empty: any
 * @param maxRequestBytes of body; 0: no limit
 * @param downgrade requests leave without credentials and cookies
 * @param approve requests wait for somebody's word
 */
public record Terms(
    int number,
    ByteString identity,
    Optional<RequestMatch> request,
    long maxRequestBytes,
    boolean downgrade,
    boolean approve,
    Caps caps,
    Schedule schedule) {
  /** Of a rule that says nothing more. */
  public static final Terms NONE =
      new Terms(0, ByteString.EMPTY, Optional.empty(), 0, false, false, Caps.NONE, Schedule.ALWAYS);

  static Terms of(EgressRule rule, int number) {
    return new Terms(
        number,
        rule.toBuilder()
            .clearCaps()
            .clearMaxRequestBytes()
            .clearExpireTime()
            .clearWindows()
            .build()
            .toByteString(),
        rule.hasHttp() ? Optional.of(RequestMatch.of(rule.getHttp())) : Optional.empty(),
        rule.getMaxRequestBytes(),
        rule.getAction() == RuleAction.RULE_ACTION_DOWNGRADE,
        rule.getAction() == RuleAction.RULE_ACTION_APPROVE,
        Caps.of(rule.getCaps()),
        Schedule.of(rule));
  }
}
