package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.policy.Decision;
import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.gateway.slot.Attachment;
import dev.cofferdam.gateway.slot.Slot;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.Verdict;
import io.netty.channel.Channel;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.Optional;

/** One TCP connection of a guest, from its acceptance on. Used on its event loop. */
final class GuestConnection implements Slot.Tenant {
  private final Slot slot;
  private final Channel channel;
  private final InetSocketAddress destination;

  /** What the connection as a whole was let out to; requests inside are judged on their own. */
  private volatile Optional<Host> admitted = Optional.empty();

  private volatile boolean relayed;
  private boolean tls;
  private boolean http2;

  private GuestConnection(Slot slot, Channel channel, InetSocketAddress destination) {
    this.slot = slot;
    this.channel = channel;
    this.destination = destination;
  }

  /**
   * One that is among the slot's connections already, until its channel closes.
   *
   * @return empty where the slot has ended, and the channel was closed
   */
  static Optional<GuestConnection> counted(
      Slot slot, Channel channel, InetSocketAddress destination) {
    GuestConnection connection = new GuestConnection(slot, channel, destination);
    channel
        .closeFuture()
        .addListener(_ -> {
          slot.connections().remove();
          slot.remove(connection);
        });
    if (!slot.add(connection)) {
      channel.close();
      return Optional.empty();
    }
    return Optional.of(connection);
  }

  Slot slot() {
    return slot;
  }

  Channel channel() {
    return channel;
  }

  int port() {
    return destination.getPort();
  }

  InetAddress address() {
    return destination.getAddress();
  }

  /** The name that the lineage's DNS gave the address for. */
  Optional<Host.Name> syntheticName() {
    return slot.names().nameOf(address());
  }

  /** TLS was terminated; its SNI is what was admitted. */
  boolean tls() {
    return tls;
  }

  /** It may speak HTTP/2: only then is that worth speaking to an upstream. */
  boolean http2() {
    return http2;
  }

  /**
   * Its TLS will be terminated.
   *
   * @param offersHttp2 in its ClientHello
   */
  void admitIntercepted(Host host, boolean offersHttp2) {
    tls = true;
    http2 = offersHttp2;
    admit(host);
  }

  /** Its bytes will be passed on as they are. */
  void admitRelayed(Host host) {
    relayed = true;
    admit(host);
  }

  private void admit(Host host) {
    admitted = Optional.of(host);
    // The policy may have changed since it was asked.
    reconsider(slot.attachment());
  }

  /** The name in SNI; empty on a connection without TLS. */
  Optional<Host.Name> serverName() {
    return tls
        ? admitted.filter(Host.Name.class::isInstance).map(Host.Name.class::cast)
        : Optional.empty();
  }

  /** The beginning of an event about this connection. */
  AuditEvent.Builder event(String protocol, Verdict verdict, EgressReason reason) {
    return AuditEvent.newBuilder()
        .setSandbox(slot.attachment().sandbox())
        .setLearning(slot.attachment().policy().learns())
        .setProtocol(protocol)
        .setPort(port())
        .setVerdict(verdict)
        .setReason(reason);
  }

  @Override
  public void reconsider(Attachment attachment) {
    Optional<Host> host = admitted;
    boolean allowed =
        host.isEmpty()
            || (attachment.policy().decide(host.get(), port())
                    instanceof Decision.Allowed(boolean passthrough)
                && (passthrough || !relayed));
    if (!allowed) {
      channel.close();
    }
  }

  @Override
  public void end() {
    channel.close();
  }
}
