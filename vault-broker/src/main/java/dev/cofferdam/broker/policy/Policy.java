package dev.cofferdam.broker.policy;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.ErrorReason;
import java.util.Collection;
import java.util.List;
import java.util.Optional;

/**
 * What may leave a sandbox, in order; what no rule matches is denied.
 *
 * @param rules at most {@value #MAX_RULES}
 * @param learns what none matches is let through, all of which has to be looked into
 */
public record Policy(List<Rule> rules, boolean learns) {
  public static final int MAX_RULES = 256;

  public Policy {
    rules = List.copyOf(rules);
    if (rules.size() > MAX_RULES) {
      throw invalid(
          "the policy has %d rules, expected at most %d".formatted(rules.size(), MAX_RULES));
    }
    for (Rule rule : rules) {
      if (learns && passes(rule)) {
        throw invalid(
            "in mode LEARN all is looked into, so that no placeholder leaves unseen; a rule passes %s through"
                .formatted(rule instanceof Rule.Host host ? host.host() : "a range"));
      }
      if (rule instanceof Rule.Host inspected && inspected.conditional()) {
        checkInspected(inspected, rules);
      }
    }
  }

  private static boolean passes(Rule rule) {
    return switch (rule) {
      case Rule.Host host -> host.passthrough();
      case Rule.Range range -> range.allow();
    };
  }

  /** A connection is either looked into or not. */
  private static void checkInspected(Rule.Host inspected, List<Rule> rules) {
    for (Rule rule : rules) {
      if (rule instanceof Rule.Host passed && passed.passthrough() && passed.overlaps(inspected)) {
        throw invalid(
            "%s is passed through and a rule for %s has conditions on requests, expected one of both"
                .formatted(passed.host(), inspected.host()));
      }
    }
  }

  /** Names that the gateway intercepts, each once, in order; where it learns it is any. */
  public List<HostPattern> intercepted() {
    return rules.stream()
        .filter(Rule.Host.class::isInstance)
        .map(Rule.Host.class::cast)
        .filter(Rule.Host::intercepted)
        .map(Rule.Host::host)
        .distinct()
        .toList();
  }

  /** Refuses a policy that passes a host through which a secret is bound to. */
  public void checkAgainst(Collection<Binding> bindings) {
    passedThrough(bindings)
        .ifPresent(why -> {
          throw invalid(why);
        });
  }

  /**
   * Says which bound host is passed through. To it a placeholder would go unseen by the gateway.
   */
  public Optional<String> passedThrough(Collection<Binding> bindings) {
    for (Rule rule : rules) {
      if (rule instanceof Rule.Host host && host.passthrough()) {
        for (Binding binding : bindings) {
          for (HostPattern bound : binding.hosts()) {
            if (bound.overlaps(host.host())) {
              return Optional.of(
                  "%s is passed through and a secret is bound to %s, expected one of both"
                      .formatted(host.host(), bound));
            }
          }
        }
      }
    }
    return Optional.empty();
  }

  private static Refusal invalid(String message) {
    return new Refusal(ErrorReason.ERROR_REASON_POLICY_INVALID, message);
  }
}
