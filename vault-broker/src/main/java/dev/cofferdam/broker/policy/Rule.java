package dev.cofferdam.broker.policy;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.ErrorReason;
import java.util.List;

/** One rule of a policy: what it speaks of, and whether that may leave. */
public sealed interface Rule {
  /** Destination ports, 1 to 65535, as written; none stands for the kind's default. */
  List<Integer> ports();

  boolean allow();

  /**
   * By name.
   *
   * @param passthrough relayed without a look inside; only of a rule that allows
   * @param conditional only of requests that meet its conditions
   */
  record Host(
      HostPattern host,
      List<Integer> ports,
      boolean allow,
      boolean passthrough,
      boolean conditional)
      implements Rule {
    private static final List<Integer> DEFAULT_PORTS = List.of(443, 80);

    public Host {
      ports = checkedPorts(ports);
      if (passthrough && !allow) {
        throw invalid("the rule for " + host + " denies and passes through, expected one of both");
      }
      if (passthrough && conditional) {
        throw invalid(
            "the rule for %s passes through and has conditions on requests, expected one of both"
                .formatted(host));
      }
    }

    /** Whether some connection meets both. */
    boolean overlaps(Host other) {
      return host.overlaps(other.host)
          && effectivePorts().stream().anyMatch(other.effectivePorts()::contains);
    }

    private List<Integer> effectivePorts() {
      return ports.isEmpty() ? DEFAULT_PORTS : ports;
    }

    /** Whether the gateway ends TLS for it and so needs a certificate. */
    public boolean intercepted() {
      return allow && !passthrough;
    }
  }

  /** By literal address: plain TCP, never with a secret. At least one port. */
  record Range(Cidr range, List<Integer> ports, boolean allow) implements Rule {
    public Range {
      ports = checkedPorts(ports);
      if (ports.isEmpty()) {
        throw invalid("the rule for " + range + " names no port, expected at least one");
      }
    }
  }

  private static List<Integer> checkedPorts(List<Integer> ports) {
    for (int port : ports) {
      if (port < 1 || port > 65535) {
        throw invalid(
            "a rule has the port %s, expected 1 to 65535"
                .formatted(Integer.toUnsignedString(port)));
      }
    }
    if (ports.size() > 64) {
      throw invalid("a rule has %d ports, expected at most 64".formatted(ports.size()));
    }
    return List.copyOf(ports);
  }

  private static Refusal invalid(String message) {
    return new Refusal(ErrorReason.ERROR_REASON_POLICY_INVALID, message);
  }
}
