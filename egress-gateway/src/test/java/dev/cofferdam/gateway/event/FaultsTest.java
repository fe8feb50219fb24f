package dev.cofferdam.gateway.event;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.gateway.LogLines;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.embedded.EmbeddedChannel;
import io.netty.handler.codec.DecoderException;
import io.netty.handler.codec.http2.Http2Error;
import io.netty.handler.codec.http2.Http2Exception;
import io.netty.handler.timeout.ReadTimeoutException;
import java.nio.channels.ClosedChannelException;
import java.util.concurrent.atomic.AtomicLong;
import javax.net.ssl.SSLException;
import org.junit.jupiter.api.Test;

final class FaultsTest {
  private final SimpleMeterRegistry meters = new SimpleMeterRegistry();
  private final AtomicLong nanos = new AtomicLong();
  private final Faults faults = new Faults(meters, nanos::get);

  private EmbeddedChannel thrown(Throwable thrown) {
    EmbeddedChannel channel =
        new EmbeddedChannel(
            new ChannelInboundHandlerAdapter() {
              @Override
              public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
                Faults.close(ctx, cause);
              }
            });
    faults.watch(channel, Faults.Side.UPSTREAM);
    channel.pipeline().fireExceptionCaught(thrown);
    return channel;
  }

  private double count() {
    return meters.get("cofferdam.gateway.faults").tag("side", "upstream").counter().count();
  }

  @Test
  void whatIsThePeersIsNotToldAndEndsTheConnectionAllTheSame() {
    try (LogLines lines = new LogLines(Faults.class)) {
      for (Throwable peers :
          new Throwable[] {
            new ClosedChannelException(),
            new SSLException("no TLS"),
            new DecoderException(new SSLException("no TLS")),
            new DecoderException(new IndexOutOfBoundsException("no DNS")),
            ReadTimeoutException.INSTANCE,
            Http2Exception.connectionError(Http2Error.PROTOCOL_ERROR, "no frame"),
            Http2Exception.connectionError(
                Http2Error.INTERNAL_ERROR, new ClosedChannelException(), "gone")
          }) {
        assertThat(thrown(peers).isOpen()).as(peers.toString()).isFalse();
      }
      assertThat(lines.count()).isZero();
    }
    assertThat(count()).isZero();
  }

  @Test
  void whatIsOursIsToldWithoutWhatItSays() {
    try (LogLines lines = new LogLines(Faults.class)) {
      Throwable ours =
          new IllegalStateException("of a value", new ArithmeticException("of a header"));
      assertThat(thrown(ours).isOpen()).isFalse();
      assertThat(
              thrown(
                      Http2Exception.connectionError(
                          Http2Error.INTERNAL_ERROR, new NullPointerException(), "of a path"))
                  .isOpen())
          .isFalse();
      assertThat(thrown(new OutOfMemoryError("of a body")).isOpen()).isFalse();
      assertThat(lines.all())
          .contains(
              "WARN handler_failed",
              "side=\"upstream\"",
              "java.lang.IllegalStateException",
              "java.lang.ArithmeticException",
              "java.lang.NullPointerException",
              "java.lang.OutOfMemoryError",
              "FaultsTest.whatIsOursIsToldWithoutWhatItSays")
          .doesNotContain("of a ");
      assertThat(lines.count()).isEqualTo(3);
    }
    assertThat(count()).isEqualTo(3);
  }

  @Test
  void onePlaceIsToldOnceInAWhileAndCountedEachTime() {
    try (LogLines lines = new LogLines(Faults.class)) {
      for (int i = 0; i < 1000; i++) {
        thrown(fault());
      }
      assertThat(lines.count()).isEqualTo(1);
      thrown(new IllegalStateException("from elsewhere"));
      assertThat(lines.count()).isEqualTo(2);

      nanos.addAndGet(Faults.QUIET.toNanos());
      thrown(fault());
      assertThat(lines.count()).isEqualTo(3);
      assertThat(lines.all()).contains("untold=\"999\"");
    }
    assertThat(count()).isEqualTo(1002);
  }

  private static IllegalStateException fault() {
    return new IllegalStateException("the same");
  }
}
