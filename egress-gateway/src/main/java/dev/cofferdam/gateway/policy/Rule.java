package dev.cofferdam.gateway.policy;

import java.util.Set;

/** One line of a policy. */
public record Rule(Match match, Set<Integer> ports, boolean allow, boolean passthrough) {
  /** Of a host rule that names no ports. */
  static final Set<Integer> DEFAULT_PORTS = Set.of(443, 80);

  /** What a rule is about. */
  public sealed interface Match {
    record Hosts(HostPattern pattern) implements Match {}

    record Addresses(Cidr range) implements Match {}
  }

  public Rule {
    if (ports.isEmpty()) {
      throw new IllegalArgumentException("rule for " + match + " names no ports");
    }
    for (int port : ports) {
      if (port < 1 || port > 65535) {
        throw new IllegalArgumentException("port " + port + ", expected 1 to 65535");
      }
    }
    ports = Set.copyOf(ports);
  }

  boolean covers(Host host) {
    return switch (match) {
      case Match.Hosts(HostPattern pattern) ->
          host instanceof Host.Name name && pattern.matches(name);
      case Match.Addresses(Cidr range) ->
          host instanceof Host.Literal literal && range.contains(literal.address());
    };
  }
}
