package dev.cofferdam.gateway.policy;

import dev.cofferdam.kit.upstream.AddressGate;
import dev.cofferdam.kit.upstream.Cidr;
import dev.cofferdam.kit.upstream.HostsFile;
import java.net.InetAddress;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;

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
    var _ = new AddressGate(firstMeshPort, lastMeshPort, own);
  }

  /** Without consent to any range. */
  public AddressRules(
      HostsFile hosts, int firstMeshPort, int lastMeshPort, Predicate<InetAddress> own) {
    this(hosts, List.of(), firstMeshPort, lastMeshPort, own);
  }

  /** Why the gateway must not connect; empty when it may. */
  public Optional<String> refuse(Host.Name name, InetAddress resolved, int port) {
    return gate().refuse(resolved, port, hosts.addresses(name.value()).contains(resolved));
  }

  /** For an address that the guest named itself, under a CIDR rule. */
  public Optional<String> refuse(InetAddress literal, int port) {
    InetAddress address = AddressGate.canonical(literal);
    return gate()
        .refuse(literal, port, privateRanges.stream().anyMatch(range -> range.contains(address)));
  }

  private AddressGate gate() {
    return new AddressGate(firstMeshPort, lastMeshPort, own);
  }
}
