package dev.cofferdam.broker.policy;

import dev.cofferdam.kit.egress.DataRuleSpec;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.ErrorReason;
import java.util.List;

/** What a policy says of data in requests: checked here, applied by gateways. */
final class DataRules {
  private DataRules() {}

  static void check(EgressPolicy policy, Policy checked) {
    List<DataRuleSpec> specs;
    try {
      specs = DataRuleSpec.of(policy);
    } catch (IllegalArgumentException e) {
      throw invalid(String.valueOf(e.getMessage()));
    }
    for (DataRuleSpec spec : specs) {
      try {
        checkInspected(spec.hosts().stream().map(HostPattern::parse).toList(), checked.rules());
      } catch (Refusal e) {
        throw new Refusal(
            e.reason(), "data rule %d: %s".formatted(spec.number(), e.getMessage()), e.metadata());
      }
    }
  }

  /** What is passed through is searched by nobody. */
  private static void checkInspected(List<HostPattern> hosts, List<Rule> rules) {
    for (Rule rule : rules) {
      boolean unsearched =
          switch (rule) {
            case Rule.Host host ->
                host.passthrough()
                    && (hosts.isEmpty() || hosts.stream().anyMatch(host.host()::overlaps));
            case Rule.Range range -> range.allow() && hosts.isEmpty();
          };
      if (unsearched) {
        throw invalid(
            "a rule passes %s through, where data is searched for: expected hosts without it"
                .formatted(
                    switch (rule) {
                      case Rule.Host host -> host.host().toString();
                      case Rule.Range range -> range.range().toString();
                    }));
      }
    }
  }

  private static Refusal invalid(String message) {
    return new Refusal(ErrorReason.ERROR_REASON_POLICY_INVALID, message);
  }
}
