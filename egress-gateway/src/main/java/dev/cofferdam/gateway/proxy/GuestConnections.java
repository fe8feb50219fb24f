package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.event.Faults;
import dev.cofferdam.gateway.slot.Slot;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.Verdict;
import io.micrometer.core.instrument.Gauge;
import io.netty.channel.Channel;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.socket.SocketChannel;
import java.net.InetSocketAddress;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;

/**
 * Receives each connection of a guest: whose it is, where it wants to go, and what happens next.
 */
public final class GuestConnections extends ChannelInitializer<SocketChannel> {
  private final Surroundings surroundings;
  private final Function<Channel, InetSocketAddress> destination;
  private final AtomicInteger open;

  /**
   * @param destination what a guest asked for: behind TPROXY the local address of what it got
   */
  public GuestConnections(
      Surroundings surroundings, Function<Channel, InetSocketAddress> destination) {
    this.surroundings = surroundings;
    this.destination = destination;
    this.open = new AtomicInteger();
    Gauge.builder("cofferdam.gateway.connections", open, AtomicInteger::get)
        .description("Connections of guests that are open")
        .register(surroundings.meters());
  }

  /** One instance serves all connections: it keeps nothing of any. */
  @Override
  public boolean isSharable() {
    return true;
  }

  @Override
  protected void initChannel(SocketChannel channel) {
    Optional<Slot> slot = surroundings.slots().at(channel.remoteAddress().getAddress());
    if (slot.isEmpty()) {
      surroundings
          .decisions()
          .record(
              "",
              AuditEvent.newBuilder()
                  .setProtocol("tcp")
                  .setVerdict(Verdict.VERDICT_DENIED)
                  .setReason(EgressReason.EGRESS_REASON_UNKNOWN_SLOT)
                  .setMessage(
                      "a connection from "
                          + channel.remoteAddress().getAddress().getHostAddress()));
      channel.close();
      return;
    }
    if (!slot.get().connections().tryAdd(surroundings.limits().connectionsPerSandbox())) {
      channel.close();
      return;
    }
    surroundings.faults().watch(channel, Faults.Side.GUEST);
    open.incrementAndGet();
    channel.closeFuture().addListener(_ -> open.decrementAndGet());
    GuestConnection.counted(slot.get(), channel, destination.apply(channel))
        .ifPresent(
            connection -> channel.pipeline().addLast(new Reception(surroundings, connection)));
  }
}
