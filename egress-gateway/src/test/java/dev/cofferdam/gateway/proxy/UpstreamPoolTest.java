package dev.cofferdam.gateway.proxy;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.gateway.AttackRow;
import dev.cofferdam.gateway.policy.Host;
import io.netty.channel.embedded.EmbeddedChannel;
import io.netty.util.concurrent.MockTicker;
import io.netty.util.concurrent.Ticker;
import java.net.InetAddress;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class UpstreamPoolTest {
  private static final InetAddress ADDRESS = InetAddress.getLoopbackAddress();

  private final MockTicker ticker = Ticker.newMockTicker();
  private final EmbeddedChannel loop = EmbeddedChannel.builder().ticker(ticker).build();
  private final UpstreamPool pool =
      new UpstreamPool(loop.eventLoop(), InstantSource.fixed(Instant.EPOCH));

  private void pass(long seconds) {
    ticker.advance(seconds, TimeUnit.SECONDS);
    loop.runScheduledPendingTasks();
  }

  private static UpstreamConnection connection(String sandbox, String host, boolean http2) {
    return new UpstreamConnection(
        new UpstreamConnection.Key("default", sandbox, new Host.Name(host), 443, true, true),
        ADDRESS,
        new EmbeddedChannel(),
        http2,
        Instant.MAX);
  }

  /** One that served and is idle. */
  private UpstreamConnection kept(String sandbox, String host, boolean http2) {
    UpstreamConnection connection = connection(sandbox, host, http2);
    if (http2) {
      pool.share(connection);
    }
    pool.giveBack(connection);
    return connection;
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void whatIsIdleForLongIsClosed(boolean http2) {
    UpstreamConnection connection = kept("sb-1", "a.example.com", http2);

    pass(UpstreamPool.IDLE_SECONDS);
    assertThat(connection.channel.isOpen()).isTrue();

    pass(UpstreamPool.SWEEP_SECONDS);
    assertThat(connection.channel.isOpen()).isFalse();
  }

  @Test
  void whatServesAStreamIsNotIdle() {
    UpstreamConnection connection = kept("sb-1", "a.example.com", true);
    connection.streams = 1;

    pass(UpstreamPool.IDLE_SECONDS + UpstreamPool.SWEEP_SECONDS);
    assertThat(connection.channel.isOpen()).isTrue();

    connection.streams = 0;
    pool.giveBack(connection);
    pass(UpstreamPool.IDLE_SECONDS);
    assertThat(connection.channel.isOpen()).isTrue();
    pass(UpstreamPool.SWEEP_SECONDS);
    assertThat(connection.channel.isOpen()).isFalse();
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void soManyIdleOnesAreKeptAndNoMore(boolean http2) {
    List<UpstreamConnection> all = new ArrayList<>();
    for (int i = 0; i <= UpstreamPool.MAX_IDLE_PER_KEY; i++) {
      all.add(kept("sb-1", "a.example.com", http2));
    }
    assertThat(all).filteredOn(c -> c.channel.isOpen()).hasSize(UpstreamPool.MAX_IDLE_PER_KEY);
  }

  @Test
  void anHttp2ConnectionServesSeveralAndAnotherOne() {
    UpstreamConnection http1 = kept("sb-1", "a.example.com", false);
    UpstreamConnection http2 = kept("sb-1", "b.example.com", true);

    assertThat(pool.take(http1.key, List.of(ADDRESS))).contains(http1);
    assertThat(pool.take(http1.key, List.of(ADDRESS))).isEmpty();
    assertThat(pool.take(http2.key, List.of(ADDRESS))).contains(http2);
    assertThat(pool.take(http2.key, List.of(ADDRESS))).contains(http2);
    http2.streams = http2.maxStreams;
    assertThat(pool.take(http2.key, List.of(ADDRESS))).isEmpty();
  }

  /** DNS may have been told another address, by whomever. */
  @AttackRow(26)
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void oneToAnAddressThatTheNameNoLongerHasIsNotUsed(boolean http2) throws Exception {
    UpstreamConnection kept = kept("sb-1", "a.example.com", http2);
    InetAddress another = InetAddress.getByName("203.0.113.1");

    assertThat(pool.take(kept.key, List.of(another))).isEmpty();
    assertThat(kept.channel.isOpen()).isEqualTo(http2);
  }

  @AttackRow(26)
  @Test
  void oneWhoseCertificateHasEndedIsNotUsed() {
    UpstreamConnection ended =
        new UpstreamConnection(
            new UpstreamConnection.Key("default", "sb-1", new Host.Name("a.test"), 443, true, true),
            ADDRESS,
            new EmbeddedChannel(),
            true,
            Instant.EPOCH);
    pool.share(ended);

    assertThat(pool.take(ended.key, List.of(ADDRESS))).isEmpty();
  }

  @AttackRow(26)
  @Test
  void oneOfAnotherTenantSandboxHostOrPortIsNotUsed() {
    UpstreamConnection kept = kept("sb-1", "a.test", true);
    Host.Name host = kept.key.host();
    for (UpstreamConnection.Key other :
        List.of(
            new UpstreamConnection.Key("other", "sb-1", host, 443, true, true),
            new UpstreamConnection.Key("default", "sb-2", host, 443, true, true),
            new UpstreamConnection.Key("default", "sb-1", new Host.Name("b.test"), 443, true, true),
            new UpstreamConnection.Key("default", "sb-1", host, 444, true, true),
            new UpstreamConnection.Key("default", "sb-1", host, 443, true, false),
            new UpstreamConnection.Key("default", "sb-1", host, 443, false, true))) {
      assertThat(pool.take(other, List.of(ADDRESS))).isEmpty();
    }
    assertThat(pool.take(kept.key, List.of(ADDRESS))).contains(kept);
  }

  @Test
  void roomIsMadeByTheSandboxesOwnOldestIdleOne() {
    UpstreamConnection another = kept("sb-2", "a.example.com", false);
    UpstreamConnection busy = kept("sb-1", "a.example.com", true);
    busy.streams = 1;
    pass(1);
    UpstreamConnection older = kept("sb-1", "b.example.com", true);
    pass(1);
    UpstreamConnection newer = kept("sb-1", "c.example.com", false);

    assertThat(pool.closeOneOfSandbox(newer.key)).isTrue();
    assertThat(older.channel.isOpen()).isFalse();
    assertThat(newer.channel.isOpen()).isTrue();
    assertThat(pool.closeOneOfSandbox(newer.key)).isTrue();
    assertThat(newer.channel.isOpen()).isFalse();
    assertThat(pool.closeOneOfSandbox(newer.key)).isFalse();
    assertThat(another.channel.isOpen()).isTrue();
    assertThat(busy.channel.isOpen()).isTrue();
  }
}
