package dev.cofferdam.gateway.policy;

import dev.cofferdam.kit.egress.AmbiguousException;
import dev.cofferdam.kit.egress.Caps;
import dev.cofferdam.kit.egress.RequestFacts;
import dev.cofferdam.kit.egress.UnknownParts;
import dev.cofferdam.kit.upstream.Cidr;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.EgressRule;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;

/**
 * An ordered list of rules: the first that matches decides, what none matches is denied.
 *
 * @param rules those that are there at present
 * @param all those too whose time it is not
 * @param caps of the whole sandbox
 * @param learns lets through what no rule matches, as {@link Learning} says
 * @param data what may not stand in requests
 */
public record Policy(List<Rule> rules, List<Rule> all, Caps caps, boolean learns, DataRules data) {
  private static final int MAX_RULES = 256;

  public Policy {
    if (all.size() > MAX_RULES) {
      throw new IllegalArgumentException(all.size() + " rules, expected at most " + MAX_RULES);
    }
    rules = List.copyOf(rules);
    all = List.copyOf(all);
  }

  /** Of rules that are there at any time. */
  public Policy(List<Rule> rules) {
    this(rules, rules, Caps.NONE, /* learns= */ false, DataRules.NONE);
  }

  /** The same policy at another time. */
  public Policy at(Instant now) {
    List<Rule> present =
        all.stream().filter(rule -> rule.terms().schedule().contains(now)).toList();
    return present.equals(rules) ? this : new Policy(present, all, caps, learns, data);
  }

  /**
   * As it is at no time in particular: with all of its rules.
   *
   * @throws IllegalArgumentException for a rule that makes no sense, or says something of a newer
   *     contract; nothing of such a policy is used, since a skipped DENY or condition would widen
   *     it
   */
  public static Policy compile(EgressPolicy policy) {
    UnknownParts.first(policy)
        .ifPresent(what -> {
          throw new IllegalArgumentException(what);
        });
    List<Rule> rules = new ArrayList<>();
    for (EgressRule rule : policy.getRulesList()) {
      rules.add(rule(rule, rules.size() + 1));
    }
    return new Policy(
        rules, rules, Caps.of(policy.getCaps()), Learning.asked(policy), DataRules.compile(policy));
  }

  private static Rule rule(EgressRule rule, int number) {
    if (rule.getHost().isEmpty() == rule.getCidr().isEmpty()) {
      throw new IllegalArgumentException(
          "a rule has host '%s' and cidr '%s', expected one of them"
              .formatted(rule.getHost(), rule.getCidr()));
    }
    Set<Integer> ports = new HashSet<>(rule.getPortsList());
    boolean allow =
        switch (rule.getAction()) {
          case RULE_ACTION_UNSPECIFIED,
              RULE_ACTION_ALLOW,
              RULE_ACTION_DOWNGRADE,
              RULE_ACTION_APPROVE ->
              true;
          case RULE_ACTION_DENY -> false;
          case UNRECOGNIZED ->
              throw new IllegalArgumentException("action " + rule.getActionValue() + " is unknown");
        };
    if (rule.getCidr().isEmpty()) {
      return new Rule(
          new Rule.Match.Hosts(HostPattern.parse(rule.getHost())),
          ports.isEmpty() ? Rule.DEFAULT_PORTS : ports,
          allow,
          rule.getPassthrough(),
          Terms.of(rule, number));
    }
    return new Rule(
        new Rule.Match.Addresses(Cidr.parse(rule.getCidr())),
        ports,
        allow,
        /* passthrough= */ true,
        Terms.of(rule, number));
  }

  /**
   * What may be connected to. Where a rule with conditions comes first a connection is let in to be
   * looked into, and each of its requests is judged by {@link #judge}.
   */
  public Decision decide(Host host, int port) {
    boolean otherPort = false;
    boolean looksInside = false;
    boolean someRequest = false;
    for (Rule rule : rules) {
      if (rule.covers(host, port)) {
        if (rule.request().isEmpty()) {
          if (rule.allow()) {
            boolean searched = host instanceof Host.Name name && data.covers(name);
            return new Decision.Allowed(rule.passthrough() && !looksInside && !searched);
          }
          return someRequest ? new Decision.Allowed(false) : denied(host);
        }
        looksInside = true;
        someRequest |= rule.allow();
      }
      otherPort |= rule.allow() && rule.covers(host);
    }
    if (someRequest || lets(host)) {
      return new Decision.Allowed(false);
    }
    return otherPort
        ? new Decision.Denied(
            EgressReason.EGRESS_REASON_PORT_NOT_ALLOWED,
            "port " + port + " of " + host + " is not allowed by the policy")
        : denied(host);
  }

  /** Whether what no rule matches is let through to the host. */
  private boolean lets(Host host) {
    return learns && host instanceof Host.Name name && Learning.lets(name);
  }

  /** Whether one request may go out, by all but its body. */
  public RequestVerdict judge(RequestFacts request, Host.Name host, int port) {
    request.begin();
    boolean conditions = false;
    for (Rule rule : rules) {
      if (!rule.covers(host, port)) {
        continue;
      }
      conditions |= rule.request().isPresent();
      try {
        if (rule.request().isEmpty() || rule.request().get().matches(request, !rule.allow())) {
          return rule.allow() ? new RequestVerdict.Let(rule) : denied(conditions, rule, host);
        }
      } catch (AmbiguousException e) {
        return new RequestVerdict.Denied(
            EgressReason.EGRESS_REASON_REQUEST_AMBIGUOUS,
            "rule %d of the policy cannot be applied: %s"
                .formatted(rule.terms().number(), e.getMessage()));
      }
    }
    if (lets(host)) {
      return new RequestVerdict.Let(Learning.RULE);
    }
    if (conditions) {
      return new RequestVerdict.Denied(
          EgressReason.EGRESS_REASON_REQUEST_NOT_ALLOWED,
          "no rule of the policy for %s allows this request".formatted(host));
    }
    // Without conditions it is as with the connection.
    return decide(host, port) instanceof Decision.Denied(EgressReason reason, String why)
        ? new RequestVerdict.Denied(reason, why)
        : new RequestVerdict.Denied(
            EgressReason.EGRESS_REASON_REQUEST_NOT_ALLOWED, "no rule allows this request");
  }

  private static RequestVerdict denied(boolean conditions, Rule rule, Host.Name host) {
    return conditions
        ? new RequestVerdict.Denied(
            EgressReason.EGRESS_REASON_REQUEST_NOT_ALLOWED,
            "rule %d of the policy denies this request to %s"
                .formatted(rule.terms().number(), host))
        : new RequestVerdict.Denied(
            EgressReason.EGRESS_REASON_HOST_NOT_ALLOWED, host + " is not allowed by the policy");
  }

  /** Under which rule a connection that is not looked into goes, where it may. */
  public Optional<Rule> passing(Host host, int port) {
    return decide(host, port) instanceof Decision.Allowed(boolean passthrough) && passthrough
        ? rules.stream().filter(rule -> rule.covers(host, port)).findFirst()
        : Optional.empty();
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
    return learns || rules.stream().anyMatch(rule -> rule.allow() && !rule.passthrough());
  }

  /** Whether any port of the name is allowed, so that it is worth an answer by DNS. */
  public boolean resolves(Host.Name name) {
    return ruled(name) || learned(name);
  }

  private boolean ruled(Host.Name name) {
    return resolves(
        name,
        rules.stream()
            .filter(rule -> rule.allow() && rule.covers(name))
            .flatMap(rule -> rule.ports().stream()));
  }

  /** Whether the name has an address only because the policy learns. */
  public boolean learned(Host.Name name) {
    return learns && !ruled(name) && resolves(name, Rule.DEFAULT_PORTS.stream());
  }

  private boolean resolves(Host.Name name, Stream<Integer> ports) {
    return ports.anyMatch(port -> decide(name, port) instanceof Decision.Allowed);
  }
}
