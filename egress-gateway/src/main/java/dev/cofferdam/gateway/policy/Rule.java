package dev.cofferdam.gateway.policy;

import dev.cofferdam.kit.egress.Caps;
import dev.cofferdam.kit.egress.RequestMatch;
import dev.cofferdam.kit.upstream.Cidr;
import java.util.Optional;
import java.util.Set;

/** One line of a policy. */
public record Rule(
    Match match, Set<Integer> ports, boolean allow, boolean passthrough, Terms terms) {
  /** Of a host rule that names no ports. */
  static final Set<Integer> DEFAULT_PORTS = Set.of(443, 80);

  /** What a rule is about. */
  public sealed interface Match {
    record Hosts(HostPattern pattern) implements Match {}

    record Addresses(Cidr range) implements Match {}

    /** Whatever no rule matched, in mode LEARN. */
    record Anything() implements Match {}
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
    if (terms.request().isPresent() && passthrough) {
      throw new IllegalArgumentException(
          "rule for " + match + " passes through and has conditions on requests");
    }
    if (terms.downgrade() && passthrough) {
      throw new IllegalArgumentException(
          "rule for " + match + " passes through and takes credentials out");
    }
    if (terms.approve() && passthrough) {
      throw new IllegalArgumentException(
          "rule for " + match + " passes through and asks for approvals");
    }
    long most = terms.maxRequestBytes();
    if (most < 0 || (most > 0 && (!allow || passthrough))) {
      throw new IllegalArgumentException(
          "rule for " + match + " limits requests that it does not let through one by one");
    }
    if (!allow && !terms.caps().equals(Caps.NONE)) {
      throw new IllegalArgumentException("rule for " + match + " denies and has caps");
    }
    ports = Set.copyOf(ports);
  }

  /** Whether nobody wrote it: it stands for mode LEARN. */
  public boolean learned() {
    return match instanceof Match.Anything;
  }

  Optional<RequestMatch> request() {
    return terms.request();
  }

  boolean covers(Host host, int port) {
    return ports.contains(port) && covers(host);
  }

  boolean covers(Host host) {
    return switch (match) {
      case Match.Hosts(HostPattern pattern) ->
          host instanceof Host.Name name && pattern.matches(name);
      case Match.Addresses(Cidr range) ->
          host instanceof Host.Literal literal && range.contains(literal.address());
      case Match.Anything() -> host instanceof Host.Name;
    };
  }
}
