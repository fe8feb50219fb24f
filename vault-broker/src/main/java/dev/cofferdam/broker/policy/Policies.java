package dev.cofferdam.broker.policy;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.SecretBinding;
import java.util.List;

/** From the contract's messages to values that were checked, and back. */
public final class Policies {
  private Policies() {}

  public static Policy of(EgressPolicy policy) {
    return new Policy(policy.getRulesList().stream().map(Policies::rule).toList());
  }

  public static Binding of(SecretBinding binding) {
    return Binding.of(
        binding.getHostsList().stream().map(HostPattern::parse).toList(),
        binding.getTargetsList().stream().map(Target::parse).toList(),
        binding.getOccurrences(),
        binding.getCleartext());
  }

  public static SecretBinding message(Binding binding) {
    return SecretBinding.newBuilder()
        .addAllHosts(binding.hosts().stream().map(HostPattern::toString).toList())
        .addAllTargets(binding.targets().stream().map(Target::text).toList())
        .setOccurrences(binding.occurrences())
        .setCleartext(binding.cleartext())
        .build();
  }

  private static Rule rule(EgressRule rule) {
    if (rule.getHost().isEmpty() == rule.getCidr().isEmpty()) {
      throw invalid(
          "a rule has %s, expected exactly one of host and cidr"
              .formatted(
                  rule.getHost().isEmpty() ? "neither host nor cidr" : "both host and cidr"));
    }
    boolean allow =
        switch (rule.getAction()) {
          case RULE_ACTION_UNSPECIFIED, RULE_ACTION_ALLOW -> true;
          case RULE_ACTION_DENY -> false;
          case UNRECOGNIZED ->
              throw invalid("a rule has the action " + rule.getActionValue() + ", expected 0 to 2");
        };
    List<Integer> ports = rule.getPortsList();
    if (!rule.getHost().isEmpty()) {
      return new Rule.Host(HostPattern.parse(rule.getHost()), ports, allow, rule.getPassthrough());
    }
    try {
      return new Rule.Range(Cidr.parse(rule.getCidr()), ports, allow);
    } catch (IllegalArgumentException e) {
      throw invalid(String.valueOf(e.getMessage()));
    }
  }

  private static Refusal invalid(String message) {
    return new Refusal(ErrorReason.ERROR_REASON_POLICY_INVALID, message);
  }
}
