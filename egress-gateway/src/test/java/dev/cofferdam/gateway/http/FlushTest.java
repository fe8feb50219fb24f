package dev.cofferdam.gateway.http;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.kit.http.End;
import dev.cofferdam.kit.http.Headers;
import dev.cofferdam.kit.http.Http1Parser;
import dev.cofferdam.kit.http.Http1ServerHandler;
import dev.cofferdam.kit.http.RequestHead;
import dev.cofferdam.kit.http.ResponseHead;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelOutboundHandlerAdapter;
import io.netty.channel.ChannelPromise;
import io.netty.channel.embedded.EmbeddedChannel;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/**
 * What reaches TLS: each write is encrypted, and each flush enters it, also of nothing. A message
 * is flushed once.
 */
final class FlushTest {
  /** In TLS's place. */
  private static final class Counting extends ChannelOutboundHandlerAdapter {
    int writes;
    int flushes;

    @Override
    public void write(ChannelHandlerContext ctx, Object message, ChannelPromise promise) {
      writes++;
      ctx.write(message, promise);
    }

    @Override
    public void flush(ChannelHandlerContext ctx) {
      flushes++;
      ctx.flush();
    }
  }

  private final Counting tls = new Counting();

  private EmbeddedChannel under(ChannelHandler codec) {
    return new EmbeddedChannel(tls, codec);
  }

  /** As the exchange writes them. */
  private static void write(EmbeddedChannel channel, Object... parts) {
    for (int i = 0; i < parts.length - 1; i++) {
      var _ = channel.write(parts[i]);
    }
    channel.writeAndFlush(parts[parts.length - 1]).syncUninterruptibly();
  }

  @Test
  void aRequestIsOneWriteAndOneFlush() {
    EmbeddedChannel channel = under(new Http1ClientHandler(4096));
    write(
        channel,
        new OutgoingRequest(
            new RequestHead("GET", "api.example.test", "/", Headers.none(), 0, true, false),
            true,
            Optional.empty(),
            Map.of(),
            Optional.empty()),
        End.plain());
    assertThat(tls.writes).isEqualTo(1);
    assertThat(tls.flushes).isEqualTo(1);
    channel.finishAndReleaseAll();
  }

  @Test
  void anAnswerIsItsHeadAndItsBodyAndOneFlush() {
    EmbeddedChannel channel =
        under(new Http1ServerHandler(4096, Http1Parser.OtherUpgrades.REFUSED));
    ask(channel, "");
    answer(channel);
    assertThat(tls.writes).isEqualTo(2);
    assertThat(tls.flushes).isEqualTo(1);
    assertThat(channel.isOpen()).isTrue();
    channel.finishAndReleaseAll();
  }

  /** The close waits for all that was written before it. */
  @Test
  void theLastAnswerIsFlushedBeforeTheConnectionIsClosed() {
    EmbeddedChannel channel =
        under(new Http1ServerHandler(4096, Http1Parser.OtherUpgrades.REFUSED));
    ask(channel, "Connection: close\r\n");
    answer(channel);
    assertThat(tls.flushes).isEqualTo(1);
    assertThat(channel.isOpen()).isFalse();
    StringBuilder sent = new StringBuilder();
    for (ByteBuf part = channel.readOutbound(); part != null; part = channel.readOutbound()) {
      sent.append(part.toString(StandardCharsets.ISO_8859_1));
      part.release();
    }
    assertThat(sent.toString()).startsWith("HTTP/1.1 200 OK\r\n").endsWith("\r\n\r\nok");
    channel.finishAndReleaseAll();
  }

  private static void ask(EmbeddedChannel channel, String line) {
    channel.writeInbound(
        Unpooled.copiedBuffer(
            "GET / HTTP/1.1\r\nHost: api.example.test\r\n" + line + "\r\n",
            StandardCharsets.ISO_8859_1));
  }

  private static void answer(EmbeddedChannel channel) {
    write(
        channel,
        new ResponseHead(200, Headers.none(), 2),
        Unpooled.copiedBuffer("ok", StandardCharsets.ISO_8859_1),
        End.plain());
  }
}
