package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import io.netty.channel.EventLoop;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.nio.NioSocketChannel;
import java.net.InetSocketAddress;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Who floods has event loops of its own. */
final class SlotLoopsTest {
  private final Set<NioSocketChannel> channels = new HashSet<>();
  private @Nullable SlotLoops loops;

  @AfterEach
  void stop() {
    channels.forEach(channel -> channel.close().syncUninterruptibly());
    if (loops != null) {
      loops.shutdownGracefully(0, 2, TimeUnit.SECONDS).syncUninterruptibly();
    }
  }

  private SlotLoops of(int threads) {
    SlotLoops fresh = new SlotLoops(threads, NioIoHandler.newFactory());
    loops = fresh;
    return fresh;
  }

  /** As accepted from there. */
  private final class Accepted extends NioSocketChannel {
    private final @Nullable InetSocketAddress from;

    Accepted(@Nullable InetSocketAddress from) {
      this.from = from;
      channels.add(this);
    }

    @Override
    public @Nullable InetSocketAddress remoteAddress() {
      return from;
    }
  }

  @SuppressWarnings("deprecation") // as Netty does
  private Set<EventLoop> taken(SlotLoops by, @Nullable String address) {
    Set<EventLoop> taken = new HashSet<>();
    for (int port = 40_000; port < 40_100; port++) {
      Accepted channel =
          new Accepted(address == null ? null : new InetSocketAddress(address, port));
      by.register(channel).syncUninterruptibly();
      taken.add(channel.eventLoop());
    }
    return taken;
  }

  @ParameterizedTest
  @CsvSource({"1, 1", "2, 1", "4, 1", "8, 2", "16, 4"})
  void aSlotHasAQuarterOfThem(int threads, int most) {
    SlotLoops all = of(threads);

    assertThat(taken(all, "198.51.100.6")).hasSize(most);
  }

  @Test
  void slotsSideBySideShareNone() {
    SlotLoops all = of(16);
    Set<EventLoop> together = new HashSet<>();

    for (int slot = 0; slot < 4; slot++) {
      Set<EventLoop> taken = taken(all, "198.51.100." + (4 + slot));
      assertThat(together).doesNotContainAnyElementsOf(taken);
      together.addAll(taken);
    }
    assertThat(together).hasSize(16);
  }

  /** A listening socket, and programs of this machine, which the address does not tell apart. */
  @Test
  void whatIsOfNoSlotHasAll() {
    SlotLoops all = of(8);

    assertThat(taken(all, null)).hasSize(8);
    assertThat(taken(all, "127.0.0.1")).hasSize(8);
  }
}
