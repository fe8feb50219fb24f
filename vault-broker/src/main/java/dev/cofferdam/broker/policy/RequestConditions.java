package dev.cofferdam.broker.policy;

import dev.cofferdam.kit.egress.Caps;
import dev.cofferdam.kit.egress.RequestMatch;
import dev.cofferdam.kit.egress.Schedule;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.RuleAction;

/** What a rule says of single requests: checked here, applied by gateways. */
final class RequestConditions {
  private RequestConditions() {}

  /** Of a host's rule. */
  static void check(EgressRule rule, boolean allow) {
    long most = rule.getMaxRequestBytes();
    if (most < 0) {
      throw invalid(
          "max_request_bytes is %s, expected less than 2^63"
              .formatted(Long.toUnsignedString(most)));
    }
    if (most > 0 && (!allow || rule.getPassthrough())) {
      throw invalid(
          "max_request_bytes is for requests that are let through one by one, and this rule %s"
              .formatted(allow ? "passes connections through" : "denies"));
    }
    if (rule.getPassthrough() && isOfRequests(rule)) {
      throw invalid(
          "the rule passes through and downgrades or asks for approvals, expected one of both");
    }
    try {
      if (rule.hasHttp()) {
        var _ = RequestMatch.of(rule.getHttp());
      }
    } catch (IllegalArgumentException e) {
      throw invalid(String.valueOf(e.getMessage()));
    }
  }

  /** Of any rule. */
  static void checkCapsAndTimes(EgressRule rule, boolean allow) {
    if (!allow && rule.hasCaps()) {
      throw invalid("the rule denies and has caps, expected one of both");
    }
    try {
      var _ = Caps.of(rule.getCaps());
      var _ = Schedule.of(rule);
    } catch (IllegalArgumentException e) {
      throw invalid(String.valueOf(e.getMessage()));
    }
  }

  static void checkCaps(EgressPolicy policy) {
    try {
      var _ = Caps.of(policy.getCaps());
    } catch (IllegalArgumentException e) {
      throw invalid(String.valueOf(e.getMessage()));
    }
  }

  /** Of a range's rule, whose connections nobody looks into. */
  static void checkNone(EgressRule rule) {
    if (rule.hasHttp() || rule.getMaxRequestBytes() != 0 || isOfRequests(rule)) {
      throw invalid(
          "a rule for a range says something of requests, expected host in place of cidr");
    }
  }

  /** Whether its action is one that only a look inside can take. */
  private static boolean isOfRequests(EgressRule rule) {
    return rule.getAction() == RuleAction.RULE_ACTION_DOWNGRADE
        || rule.getAction() == RuleAction.RULE_ACTION_APPROVE;
  }

  private static Refusal invalid(String message) {
    return new Refusal(ErrorReason.ERROR_REASON_POLICY_INVALID, message);
  }
}
