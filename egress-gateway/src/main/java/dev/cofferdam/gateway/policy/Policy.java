package dev.cofferdam.gateway.policy;

import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.EgressRule;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** An ordered list of rules: the first that matches decides, what none matches is denied. */
public record Policy(List<Rule> rules) {
  private static final int MAX_RULES = 256;

  public Policy {
    if (rules.size() > MAX_RULES) {
      throw new IllegalArgumentException(rules.size() + " rules, expected at most " + MAX_RULES);
    }
    rules = List.copyOf(rules);
  }

  /**
   * @throws IllegalArgumentException for a rule that makes no sense; nothing of such a policy is
   *     used, since a skipped DENY would widen it
   */
  public static Policy compile(EgressPolicy policy) {
    return new Policy(policy.getRulesList().stream().map(Policy::rule).toList());
  }

  private static Rule rule(EgressRule rule) {
    if (rule.getHost().isEmpty() == rule.getCidr().isEmpty()) {
      throw new IllegalArgumentException(
          "a rule has host '%s' and cidr '%s', expected one of them"
              .formatted(rule.getHost(), rule.getCidr()));
    }
    Set<Integer> ports = new HashSet<>(rule.getPortsList());
    boolean allow =
        switch (rule.getAction()) {
          case RULE_ACTION_UNSPECIFIED, RULE_ACTION_ALLOW -> true;
          case RULE_ACTION_DENY -> false;
          case UNRECOGNIZED ->
              throw new IllegalArgumentException("action " + rule.getActionValue() + " is unknown");
        };
    if (rule.getCidr().isEmpty()) {
      return new Rule(
          new Rule.Match.Hosts(HostPattern.parse(rule.getHost())),
          ports.isEmpty() ? Rule.DEFAULT_PORTS : ports,
          allow,
          rule.getPassthrough());
    }
    return new Rule(new Rule.Match.Addresses(Cidr.parse(rule.getCidr())), ports, allow, true);
  }

  /** Pure; the same answer for the same question. */
  public Decision decide(Host host, int port) {
    boolean otherPort = false;
    for (Rule rule : rules) {
      if (rule.covers(host)) {
        if (rule.ports().contains(port)) {
          return rule.allow() ? new Decision.Allowed(rule.passthrough()) : denied(host);
        }
        otherPort |= rule.allow();
      }
    }
    return otherPort
        ? new Decision.Denied(
            EgressReason.EGRESS_REASON_PORT_NOT_ALLOWED,
            "port " + port + " of " + host + " is not allowed by the policy")
        : denied(host);
  }

  private static Decision denied(Host host) {
    return switch (host) {
      case Host.Name name ->
          new Decision.Denied(
              EgressReason.EGRESS_REASON_HOST_NOT_ALLOWED, name + " is not allowed by the policy");
      case Host.Literal literal ->
          new Decision.Denied(
              EgressReason.EGRESS_REASON_ADDRESS_NOT_ALLOWED,
              "the address " + literal + " is not allowed by the policy");
    };
  }

  /** Whether TLS of any host ends at the gateway, which needs a certificate for that. */
  public boolean intercepts() {
    return rules.stream().anyMatch(rule -> rule.allow() && !rule.passthrough());
  }

  /** Whether any port of the name is allowed, so that it is worth an answer by DNS. */
  public boolean resolves(Host.Name name) {
    return rules.stream()
        .filter(rule -> rule.allow() && rule.covers(name))
        .flatMap(rule -> rule.ports().stream())
        .anyMatch(port -> decide(name, port) instanceof Decision.Allowed);
  }
}
