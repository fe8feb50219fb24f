package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.policy.AddressRules;
import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.kit.upstream.UpstreamNames;
import dev.cofferdam.v1.EgressReason;
import io.netty.channel.EventLoop;
import io.netty.channel.epoll.EpollDatagramChannel;
import io.netty.channel.epoll.EpollSocketChannel;
import io.netty.resolver.dns.DnsNameResolver;
import io.netty.util.concurrent.Future;
import io.netty.util.concurrent.Promise;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** From a name to the addresses that the gateway may connect to. Bound to one event loop. */
final class Resolution {
  private final EventLoop loop;
  private final AddressRules rules;
  private final DnsNameResolver resolver;
  private final Optional<UpstreamProxy> proxy;

  Resolution(
      EventLoop loop,
      AddressRules rules,
      List<InetSocketAddress> servers,
      Limits limits,
      Optional<UpstreamProxy> proxy) {
    this.loop = loop;
    this.rules = rules;
    this.proxy = proxy;
    this.resolver =
        UpstreamNames.resolver(
            loop,
            EpollDatagramChannel.class,
            EpollSocketChannel.class,
            servers,
            Duration.ofMillis(Math.max(100, limits.connectTimeout().toMillis() / 2)));
  }

  Optional<UpstreamProxy> proxy() {
    return proxy;
  }

  /** Whether the operator's proxy resolves the host, so that what was resolved is the proxy. */
  boolean leavesToProxy(Host host) {
    return host instanceof Host.Name name
        && proxy.isPresent()
        && proxy.get().resolves(name, rules.hosts().addresses(name.value()));
  }

  /** No rule applies to it: it is the operator's own choice. Fails as {@link #resolve}. */
  Future<List<InetAddress>> proxyAddresses(UpstreamProxy of) {
    List<InetAddress> known =
        switch (of.host()) {
          case Host.Literal(InetAddress address) -> List.of(address);
          case Host.Name name -> rules.hosts().addresses(name.value());
        };
    if (!known.isEmpty()) {
      return loop.newSucceededFuture(known);
    }
    Promise<List<InetAddress>> promise = loop.newPromise();
    resolver
        .resolveAll(of.host() + ".")
        .addListener((Future<List<InetAddress>> resolved) -> {
          if (resolved.isSuccess()) {
            promise.setSuccess(resolved.getNow());
          } else {
            promise.setFailure(
                new UpstreamException(
                    EgressReason.EGRESS_REASON_UPSTREAM_PROXY,
                    "the operator's proxy could not be resolved"));
          }
        });
    return promise;
  }

  /** Fails with an {@link UpstreamException}. Never gives an empty list. */
  Future<List<InetAddress>> resolve(Host.Name name, int port) {
    Promise<List<InetAddress>> promise = loop.newPromise();
    List<InetAddress> pinned = rules.hosts().addresses(name.value());
    if (!pinned.isEmpty()) {
      permit(name, port, pinned, promise);
      return promise;
    }
    if (leavesToProxy(name)) {
      return proxyAddresses(proxy.orElseThrow());
    }
    // With the dot it is absolute, and no search list of this host applies.
    resolver
        .resolveAll(name.value() + ".")
        .addListener((Future<List<InetAddress>> resolved) -> {
          if (resolved.isSuccess()) {
            permit(name, port, resolved.getNow(), promise);
          } else {
            promise.setFailure(
                new UpstreamException(
                    EgressReason.EGRESS_REASON_NAME_NOT_RESOLVED, name + " could not be resolved"));
          }
        });
    return promise;
  }

  private void permit(
      Host.Name name, int port, List<InetAddress> resolved, Promise<List<InetAddress>> promise) {
    List<InetAddress> permitted = new ArrayList<>();
    Optional<String> why = Optional.empty();
    for (InetAddress address : resolved) {
      Optional<String> refusal = rules.refuse(name, address, port);
      if (refusal.isEmpty()) {
        permitted.add(address);
      } else {
        why = refusal;
      }
    }
    if (permitted.isEmpty()) {
      promise.setFailure(
          new UpstreamException(
              EgressReason.EGRESS_REASON_PRIVATE_ADDRESS,
              name + " leads to an address that is not allowed: " + why.orElse("none")));
    } else {
      promise.setSuccess(List.copyOf(permitted));
    }
  }

  /** For an address under a CIDR rule. */
  Optional<String> refuse(InetAddress literal, int port) {
    return rules.refuse(literal, port);
  }
}
