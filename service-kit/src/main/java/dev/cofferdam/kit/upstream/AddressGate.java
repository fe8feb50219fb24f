package dev.cofferdam.kit.upstream;

import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.stream.Stream;

/**
 * Which addresses a service of the mesh connects to for somebody else. Everything that is not a
 * public unicast address is refused, unless the operator consented to it; a port of the mesh on
 * such an address, or on one of this host, is refused even then.
 *
 * @param own whether an address is one of this host
 */
public record AddressGate(int firstMeshPort, int lastMeshPort, Predicate<InetAddress> own) {
  public AddressGate {
    if (firstMeshPort < 1 || lastMeshPort > 65535 || firstMeshPort > lastMeshPort) {
      throw new IllegalArgumentException(
          "mesh ports %d-%d, expected a range within 1-65535"
              .formatted(firstMeshPort, lastMeshPort));
    }
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

  /**
   * Why it must not be connected to; empty when it may.
   *
   * @param consented whether the operator named this address as one that may be, though it is not
   *     public
   */
  public Optional<String> refuse(InetAddress resolved, int port, boolean consented) {
    InetAddress address = canonical(resolved);
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

  private static boolean special(InetAddress address) {
    return SPECIAL.stream().anyMatch(range -> range.contains(address))
        || (address.getAddress().length == 16 && !GLOBAL_UNICAST.contains(address));
  }

  /** The IPv4 address inside a mapped, compatible, NAT64 or 6to4 one; any other as it is. */
  public static InetAddress canonical(InetAddress address) {
    byte[] b = address.getAddress();
    if (b.length == 4) {
      return address;
    }
    boolean zeros10 = allZero(b, 0, 10);
    boolean mapped = zeros10 && b[10] == (byte) 0xff && b[11] == (byte) 0xff;
    boolean compatible = allZero(b, 0, 12) && !allZero(b, 12, 15);
    boolean nat64 =
        b[0] == 0
            && b[1] == 0x64
            && b[2] == (byte) 0xff
            && b[3] == (byte) 0x9b
            && allZero(b, 4, 12);
    if (mapped || compatible || nat64) {
      return ofBytes(Arrays.copyOfRange(b, 12, 16));
    }
    if (b[0] == 0x20 && b[1] == 0x02) {
      return ofBytes(Arrays.copyOfRange(b, 2, 6));
    }
    return address;
  }

  private static boolean allZero(byte[] bytes, int from, int to) {
    for (int i = from; i < to; i++) {
      if (bytes[i] != 0) {
        return false;
      }
    }
    return true;
  }

  private static InetAddress ofBytes(byte[] bytes) {
    try {
      return InetAddress.getByAddress(bytes);
    } catch (UnknownHostException e) {
      throw new IllegalArgumentException("not the length of an address: " + bytes.length, e);
    }
  }
}
