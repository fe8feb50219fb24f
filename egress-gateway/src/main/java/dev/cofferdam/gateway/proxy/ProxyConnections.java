package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.event.Faults;
import io.micrometer.core.instrument.Gauge;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.socket.SocketChannel;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslHandler;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;

/** Receives connections of programs at the explicit proxy. */
public final class ProxyConnections extends ChannelInitializer<SocketChannel> {
  /** Of which it is not known yet, or will not be, whose they are. */
  private static final int MAX_STRANGERS = 256;

  private final Surroundings surroundings;
  private final Optional<SslContext> tls;
  private final AtomicInteger strangers = new AtomicInteger();
  private final AtomicInteger open = new AtomicInteger();

  /**
   * @param tls in which the proxy itself is spoken to
   */
  public ProxyConnections(Surroundings surroundings, Optional<SslContext> tls) {
    this.surroundings = surroundings;
    this.tls = tls;
    Gauge.builder("cofferdam.gateway.proxy.connections", open, AtomicInteger::get)
        .description("Connections to the explicit proxy that are open")
        .register(surroundings.meters());
  }

  /** One instance serves all connections: it keeps nothing of any. */
  @Override
  public boolean isSharable() {
    return true;
  }

  @Override
  protected void initChannel(SocketChannel channel) {
    surroundings.faults().watch(channel, Faults.Side.GUEST);
    open.incrementAndGet();
    strangers.incrementAndGet();
    AtomicBoolean stranger = new AtomicBoolean(true);
    Runnable known =
        () -> {
          if (stranger.getAndSet(false)) {
            strangers.decrementAndGet();
          }
        };
    channel
        .closeFuture()
        .addListener(_ -> {
          open.decrementAndGet();
          known.run();
        });
    if (strangers.get() > MAX_STRANGERS) {
      channel.close();
      return;
    }
    if (tls.isPresent()) {
      SslHandler handler = tls.get().newHandler(channel.alloc());
      handler.setHandshakeTimeoutMillis(surroundings.limits().headerTimeout().toMillis());
      channel.pipeline().addLast(handler);
    }
    channel.pipeline().addLast(new ProxyReception(surroundings, known));
  }
}
