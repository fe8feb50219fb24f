package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.gateway.policy.HostPattern;
import dev.cofferdam.kit.upstream.AddressGate;
import dev.cofferdam.kit.upstream.Cidr;
import java.net.InetAddress;
import java.util.List;
import java.util.Optional;

/**
 * The operator's own way to upstreams: a proxy that is asked by CONNECT (RFC 9110 section 9.3.6)
 * for everything but what is named as direct. What is sent through is what would be sent without
 * it, TLS that ends at the upstream included.
 *
 * @param tls whether it is spoken to in TLS, verified as an upstream is
 * @param host a name or a literal address
 * @param authorization what {@code Proxy-Authorization} says
 * @param byName it is asked for names, which it resolves: no rule of this gateway's about addresses
 *     holds for where that leads. Otherwise for an address that was resolved and found permitted
 *     here.
 * @param directHosts names that are connected to without it
 * @param directRanges addresses that are
 */
public record UpstreamProxy(
    boolean tls,
    Host host,
    int port,
    Optional<String> authorization,
    boolean byName,
    List<HostPattern> directHosts,
    List<Cidr> directRanges) {
  public UpstreamProxy {
    if (port < 1 || port > 65535) {
      throw new IllegalArgumentException("port " + port + " of a proxy, expected 1 to 65535");
    }
    directHosts = List.copyOf(directHosts);
    directRanges = List.copyOf(directRanges);
  }

  /** Whether it resolves the name, in place of the gateway. A pin is the operator's word, too. */
  boolean resolves(Host.Name name, List<InetAddress> pinned) {
    return byName && pinned.isEmpty() && !direct(name);
  }

  private boolean direct(Host.Name name) {
    return directHosts.stream().anyMatch(pattern -> pattern.matches(name));
  }

  /**
   * Whether what has been resolved here is connected to without it.
   *
   * @param address of the host
   */
  boolean passesBy(Host host, InetAddress address) {
    return (host instanceof Host.Name name && direct(name))
        || directRanges.stream().anyMatch(range -> range.contains(AddressGate.canonical(address)));
  }

  /** Without the credentials. */
  @Override
  public String toString() {
    return (tls ? "https://" : "http://") + host + ":" + port;
  }
}
