package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.event.Faults;
import dev.cofferdam.v1.EgressReason;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.handler.codec.ByteToMessageDecoder;
import io.netty.util.concurrent.Future;
import io.netty.util.concurrent.Promise;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Asks a proxy for a connection and leaves the pipeline once it is there. Source: RFC 9110 section
 * 9.3.6; RFC 9112 section 4.
 */
final class ProxyTunnel extends ChannelInboundHandlerAdapter {
  private static final int MAX_HEAD_BYTES = 16 << 10;
  private static final Pattern STATUS_LINE = Pattern.compile("HTTP/1\\.[01] ([1-5][0-9]{2})( .*)?");

  private final String request;
  private final Duration patience;
  private final Promise<Channel> opened;
  private ByteBuf received = Unpooled.EMPTY_BUFFER;
  private boolean through;

  private ProxyTunnel(String request, Duration patience, Promise<Channel> opened) {
    this.request = request;
    this.patience = patience;
    this.opened = opened;
  }

  /**
   * Fails with an {@link UpstreamException}, and then the channel is closed.
   *
   * @param channel to the proxy
   * @param target host and port, an IPv6 address in brackets
   * @param authorization of {@code Proxy-Authorization}
   */
  static Future<Channel> open(
      Channel channel, String target, Optional<String> authorization, Duration patience) {
    Promise<Channel> opened = channel.eventLoop().newPromise();
    String request =
        "CONNECT %s HTTP/1.1\r\nHost: %s\r\n%s\r\n"
            .formatted(
                target,
                target,
                authorization.map(text -> "Proxy-Authorization: " + text + "\r\n").orElse(""));
    channel.pipeline().addLast(new ProxyTunnel(request, patience, opened));
    return opened;
  }

  @Override
  public void handlerAdded(ChannelHandlerContext ctx) {
    Future<?> deadline =
        ctx.executor()
            .schedule(
                () ->
                    fail(
                        ctx,
                        EgressReason.EGRESS_REASON_UPSTREAM_TIMEOUT,
                        "the operator's proxy did not answer in time"),
                patience.toMillis(),
                TimeUnit.MILLISECONDS);
    opened.addListener(_ -> deadline.cancel(false));
    ctx.writeAndFlush(ByteBufUtil.writeAscii(ctx.alloc(), request));
  }

  @Override
  public void channelRead(ChannelHandlerContext ctx, Object message) {
    received =
        ByteToMessageDecoder.MERGE_CUMULATOR.cumulate(ctx.alloc(), received, (ByteBuf) message);
    while (!opened.isDone()) {
      int length = headLength();
      if (length < 0) {
        if (received.readableBytes() > MAX_HEAD_BYTES) {
          refuse(ctx, "the operator's proxy answered with a head that does not end");
        }
        return;
      }
      head(ctx, received.readCharSequence(length, StandardCharsets.ISO_8859_1).toString());
    }
  }

  /** Up to and with the empty line; negative where it has not come yet. */
  private int headLength() {
    int within = Math.min(received.readableBytes(), MAX_HEAD_BYTES);
    int at =
        ByteBufUtil.indexOf(
            Unpooled.wrappedBuffer(new byte[] {'\r', '\n', '\r', '\n'}),
            received.slice(received.readerIndex(), within));
    return at < 0 ? -1 : at + 4;
  }

  private void head(ChannelHandlerContext ctx, String head) {
    Matcher line = STATUS_LINE.matcher(head.substring(0, head.indexOf("\r\n")));
    if (!line.matches()) {
      refuse(ctx, "the operator's proxy did not answer in HTTP/1");
      return;
    }
    int status = Integer.parseInt(line.group(1));
    if (status >= 300) {
      refuse(ctx, "the operator's proxy answered " + status);
    } else if (status >= 200) {
      // A length that such an answer gives means nothing: what follows is the upstream's.
      pass(ctx);
    }
  }

  private void pass(ChannelHandlerContext ctx) {
    through = true;
    opened.setSuccess(ctx.channel());
    // After all who wait for it have put their handlers in, which may be only soon; until then
    // what the upstream says first waits here.
    ctx.executor()
        .execute(() -> {
          if (!ctx.isRemoved()) {
            ByteBuf first = received;
            received = Unpooled.EMPTY_BUFFER;
            if (first.isReadable()) {
              ctx.fireChannelRead(first);
              ctx.fireChannelReadComplete();
            } else {
              first.release();
            }
            ctx.pipeline().remove(this);
          }
        });
  }

  private void refuse(ChannelHandlerContext ctx, String why) {
    fail(ctx, EgressReason.EGRESS_REASON_UPSTREAM_PROXY, why);
  }

  private void fail(ChannelHandlerContext ctx, EgressReason reason, String why) {
    if (opened.tryFailure(new UpstreamException(reason, why))) {
      ctx.close();
    }
  }

  @Override
  public void channelInactive(ChannelHandlerContext ctx) {
    refuse(ctx, "the operator's proxy hung up");
    ctx.fireChannelInactive();
  }

  @Override
  public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
    if (through) {
      ctx.fireExceptionCaught(cause);
    } else {
      Faults.tell(ctx, cause);
      refuse(ctx, "no connection to the operator's proxy that can be used");
    }
  }

  @Override
  public void handlerRemoved(ChannelHandlerContext ctx) {
    received.release();
    received = Unpooled.EMPTY_BUFFER;
  }
}
