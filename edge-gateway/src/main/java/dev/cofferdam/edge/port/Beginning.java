package dev.cofferdam.edge.port;

import io.netty.buffer.ByteBuf;
import io.netty.channel.ChannelHandlerContext;
import io.netty.handler.codec.ByteToMessageDecoder;
import io.netty.util.concurrent.ScheduledFuture;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** Sees from a connection's first bytes which HTTP it speaks (RFC 9113 section 3.4). */
final class Beginning extends ByteToMessageDecoder {
  private static final byte[] HTTP_2 = {'P', 'R', 'I', ' '};

  private final Duration patience;
  private final Consumer<ChannelHandlerContext> http1;
  private final Consumer<ChannelHandlerContext> http2;
  private @Nullable ScheduledFuture<?> deadline;

  /**
   * @param http1 adds the handlers of HTTP/1.1 behind this one, {@code http2} those of HTTP/2
   */
  Beginning(
      Duration patience,
      Consumer<ChannelHandlerContext> http1,
      Consumer<ChannelHandlerContext> http2) {
    this.patience = patience;
    this.http1 = http1;
    this.http2 = http2;
  }

  @Override
  public void handlerAdded(ChannelHandlerContext ctx) {
    deadline =
        ctx.executor().schedule(() -> ctx.close(), patience.toMillis(), TimeUnit.MILLISECONDS);
  }

  @Override
  protected void decode(ChannelHandlerContext ctx, ByteBuf in, List<Object> out) {
    int seen = Math.min(HTTP_2.length, in.readableBytes());
    boolean so = true;
    for (int i = 0; i < seen; i++) {
      so &= in.getByte(in.readerIndex() + i) == HTTP_2[i];
    }
    if (so && seen < HTTP_2.length) {
      return;
    }
    (so ? http2 : http1).accept(ctx);
    ctx.pipeline().remove(this);
  }

  /** Not TLS, or none that both speak. Strangers could fill a log with it. */
  @Override
  public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
    ctx.close();
  }

  @Override
  protected void handlerRemoved0(ChannelHandlerContext ctx) {
    if (deadline != null) {
      deadline.cancel(false);
    }
  }
}
