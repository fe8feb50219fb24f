package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.policy.AddressRules;
import dev.cofferdam.gateway.tls.UpstreamTls;
import io.netty.channel.EventLoop;
import java.net.InetSocketAddress;
import java.time.InstantSource;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The upstream connections of each event loop. A guest's connection uses only those of its own
 * loop, so that no lock is ever taken between the two.
 */
public final class UpstreamsByLoop {
  private final Map<EventLoop, Upstreams> byLoop = new ConcurrentHashMap<>();
  private final UpstreamTls tls;
  private final AddressRules rules;
  private final List<InetSocketAddress> resolvers;
  private final Limits limits;
  private final InstantSource clock;
  private final Optional<UpstreamProxy> proxy;
  private final ConnectionMeters meters;

  /**
   * @param resolvers empty: those of the system
   * @param proxy of the operator's, where all but what it names goes through one
   */
  public UpstreamsByLoop(
      UpstreamTls tls,
      AddressRules rules,
      List<InetSocketAddress> resolvers,
      Limits limits,
      InstantSource clock,
      Optional<UpstreamProxy> proxy,
      ConnectionMeters meters) {
    this.tls = tls;
    this.rules = rules;
    this.resolvers = List.copyOf(resolvers);
    this.limits = limits;
    this.clock = clock;
    this.proxy = proxy;
    this.meters = meters;
  }

  Upstreams of(EventLoop loop) {
    return byLoop.computeIfAbsent(
        loop,
        l ->
            new Upstreams(
                l, tls, new Resolution(l, rules, resolvers, limits, proxy), limits, clock, meters));
  }

  ConnectionMeters meters() {
    return meters;
  }
}
