package dev.cofferdam.kit.upstream;

import io.netty.channel.EventLoop;
import io.netty.channel.socket.DatagramChannel;
import io.netty.channel.socket.SocketChannel;
import io.netty.resolver.HostsFileEntriesResolver;
import io.netty.resolver.ResolvedAddressTypes;
import io.netty.resolver.dns.DnsNameResolver;
import io.netty.resolver.dns.DnsNameResolverBuilder;
import io.netty.resolver.dns.SequentialDnsServerAddressStreamProvider;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.List;

/** How names of upstreams are resolved for somebody else: as DNS has them, and in no other way. */
public final class UpstreamNames {
  /** A record is believed as long as it says, but not longer. A TTL of 0 is not kept at all. */
  private static final int MAX_TTL_SECONDS = 300;

  private static final int NEGATIVE_TTL_SECONDS = 5;

  private UpstreamNames() {}

  /**
   * @param servers to be asked in turn; empty for those of this host
   * @param patience for one server's answer
   */
  public static DnsNameResolver resolver(
      EventLoop loop,
      Class<? extends DatagramChannel> datagrams,
      Class<? extends SocketChannel> sockets,
      List<InetSocketAddress> servers,
      Duration patience) {
    DnsNameResolverBuilder builder =
        new DnsNameResolverBuilder(loop)
            .datagramChannelType(datagrams)
            .socketChannelType(sockets)
            // What this host calls localhost is no business of a guest's or a tenant's.
            .hostsFileEntriesResolver(noHostsFile())
            .searchDomains(List.of())
            .ndots(0)
            .ttl(0, MAX_TTL_SECONDS)
            .negativeTtl(NEGATIVE_TTL_SECONDS)
            .queryTimeoutMillis(patience.toMillis())
            .resolvedAddressTypes(ResolvedAddressTypes.IPV4_PREFERRED);
    if (!servers.isEmpty()) {
      builder.nameServerProvider(new SequentialDnsServerAddressStreamProvider(servers));
    }
    return builder.build();
  }

  @SuppressWarnings("NullAway") // null is how the interface says that it knows no such name
  private static HostsFileEntriesResolver noHostsFile() {
    return (name, types) -> null;
  }
}
