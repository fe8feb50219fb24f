package dev.cofferdam.gateway.policy;

import java.net.InetAddress;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.stream.Stream;

/**
 * Which addresses the gateway itself connects to, once a name was resolved. Everything that is not
 * a public unicast address is refused, unless the operator pinned just this name to just this
 * address; a port of the mesh on such an address, or on one of this host, is refused even then. A
 * pin is of a name and says nothing of its address as such: what a guest names as an address needs
 * the operator's consent to the range.
 *
 * @param privateRanges where a literal address under a CIDR rule may lead although it is not public
 * @param own whether an address is one of this host
 */
public record AddressRules(
    HostsFile hosts,
    List<Cidr> privateRanges,
    int firstMeshPort,
    int lastMeshPort,
    Predicate<InetAddress> own) {
  public AddressRules {
    privateRanges = List.copyOf(privateRanges);
    if (firstMeshPort < 1 || lastMeshPort > 65535 || firstMeshPort > lastMeshPort) {
      throw new IllegalArgumentException(
          "mesh ports %d-%d, expected a range within 1-65535"
              .formatted(firstMeshPort, lastMeshPort));
    }
  }

  /** Without consent to any range. */
  public AddressRules(
      HostsFile hosts, int firstMeshPort, int lastMeshPort, Predicate<InetAddress> own) {
    this(hosts, List.of(), firstMeshPort, lastMeshPort, own);
  }

  /** IANA's special-purpose registry for IPv4 (RFC 6890 and its successors), and multicast. */
  private static final List<Cidr> SPECIAL =
      Stream.of(
              "0.0.0.0/8",
              "10.0.0.0/8",
              "100.64.0.0/10",
              "127.0.0.0/8",
              // Azure's metadata and DNS service, a public address that only means the host's
              // cloud.
              "168.63.129.16/32",
              "169.254.0.0/16",
              "172.16.0.0/12",
              "192.0.0.0/24",
              "192.0.2.0/24",
              "192.31.196.0/24",
              "192.52.193.0/24",
              "192.88.99.0/24",
              "192.168.0.0/16",
              "192.175.48.0/24",
              "198.18.0.0/15",
              "198.51.100.0/24",
              "203.0.113.0/24",
              "224.0.0.0/4",
              "240.0.0.0/4",
              // IPv6: tunnels, benchmarks and documentation inside the global unicast range.
              "2001::/23",
              "2001:db8::/32",
              "2002::/16",
              "3fff::/20")
          .map(Cidr::parse)
          .toList();

  private static final Cidr GLOBAL_UNICAST = Cidr.parse("2000::/3");

  /** Why the gateway must not connect; empty when it may. */
  public Optional<String> refuse(Host.Name name, InetAddress resolved, int port) {
    return refuse(resolved, port, hosts.pins(name, resolved));
  }

  /** For an address that the guest named itself, under a CIDR rule. */
  public Optional<String> refuse(InetAddress literal, int port) {
    InetAddress address = Host.canonical(literal);
    return refuse(literal, port, privateRanges.stream().anyMatch(range -> range.contains(address)));
  }

  private Optional<String> refuse(InetAddress resolved, int port, boolean consented) {
    InetAddress address = Host.canonical(resolved);
    boolean inside = special(address) || own.test(address);
    if (!inside) {
      return Optional.empty();
    }
    if (port >= firstMeshPort && port <= lastMeshPort) {
      return Optional.of("port " + port + " of " + address.getHostAddress() + " is the mesh's");
    }
    return consented
        ? Optional.empty()
        : Optional.of(address.getHostAddress() + " is not a public address");
  }

  static boolean special(InetAddress address) {
    return SPECIAL.stream().anyMatch(range -> range.contains(address))
        || (address.getAddress().length == 16 && !GLOBAL_UNICAST.contains(address));
  }
}
