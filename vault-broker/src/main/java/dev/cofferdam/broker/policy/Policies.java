package dev.cofferdam.broker.policy;

import dev.cofferdam.kit.egress.UnknownParts;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.SecretBinding;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** From the contract's messages to values that were checked, and back. */
public final class Policies {
  private static final int MAX_BYTES = 256 << 10;

  private Policies() {}

  public static Policy of(EgressPolicy policy) {
    int size = policy.getSerializedSize();
    if (size > MAX_BYTES) {
      throw invalid("the policy has %d bytes, expected at most %d".formatted(size, MAX_BYTES));
    }
    UnknownParts.first(policy)
        .ifPresent(what -> {
          throw invalid(what);
        });
    RequestConditions.checkCaps(policy);
    List<Rule> rules = new ArrayList<>();
    for (EgressRule rule : policy.getRulesList()) {
      try {
        rules.add(rule(rule));
      } catch (Refusal e) {
        throw new Refusal(
            e.reason(), "rule %d: %s".formatted(rules.size() + 1, e.getMessage()), e.metadata());
      }
    }
    Policy checked = new Policy(rules, learns(policy));
    DataRules.check(policy, checked);
    return checked;
  }

  private static boolean learns(EgressPolicy policy) {
    return switch (policy.getMode()) {
      case POLICY_MODE_UNSPECIFIED, POLICY_MODE_ENFORCE -> false;
      case POLICY_MODE_LEARN -> true;
      case UNRECOGNIZED ->
          throw invalid("the mode is " + policy.getModeValue() + ", expected 0 to 2");
    };
  }

  public static Binding of(SecretBinding binding) {
    UnknownParts.first(binding)
        .ifPresent(what -> {
          throw new Refusal(ErrorReason.ERROR_REASON_BINDING_INVALID, what);
        });
    return Binding.of(
        binding.getHostsList().stream().map(HostPattern::parse).toList(),
        binding.getTargetsList().stream().map(Target::parse).toList(),
        binding.getOccurrences(),
        binding.getCleartext(),
        binding.getRequire(),
        binding.hasHmac() ? Optional.of(new Hmac(binding.getHmac())) : Optional.empty());
  }

  public static SecretBinding message(Binding binding) {
    SecretBinding.Builder message = SecretBinding.newBuilder();
    binding.hmac().ifPresent(by -> message.setHmac(by.spec()));
    return message
        .addAllHosts(binding.hosts().stream().map(HostPattern::toString).toList())
        .addAllTargets(binding.targets().stream().map(Target::text).toList())
        .setOccurrences(binding.occurrences())
        .setCleartext(binding.cleartext())
        .setRequire(binding.require())
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
          case RULE_ACTION_UNSPECIFIED,
              RULE_ACTION_ALLOW,
              RULE_ACTION_DOWNGRADE,
              RULE_ACTION_APPROVE ->
              true;
          case RULE_ACTION_DENY -> false;
          case UNRECOGNIZED ->
              throw invalid(
                  "a rule has the action " + rule.getActionValue() + ", expected 0 to 3 or 20");
        };
    RequestConditions.checkCapsAndTimes(rule, allow);
    List<Integer> ports = rule.getPortsList();
    if (!rule.getHost().isEmpty()) {
      RequestConditions.check(rule, allow);
      return new Rule.Host(
          HostPattern.parse(rule.getHost()), ports, allow, rule.getPassthrough(), rule.hasHttp());
    }
    RequestConditions.checkNone(rule);
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
