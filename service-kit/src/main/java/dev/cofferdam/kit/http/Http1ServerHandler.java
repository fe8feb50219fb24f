package dev.cofferdam.kit.http;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelDuplexHandler;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelPromise;
import io.netty.channel.socket.DuplexChannel;
import io.netty.handler.codec.ByteToMessageDecoder;
import io.netty.handler.ssl.SslHandler;
import io.netty.util.ReferenceCountUtil;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * The client's end of HTTP/1.1. Hands on one request at a time: the next one, even if it is there
 * already, waits for the end of the answer to the one before.
 *
 * <p>Reads: {@link RequestHead}, {@link ByteBuf}, {@link End}, or a {@link MalformedException}
 * after which nothing follows. Writes: {@link ResponseHead}, {@link ByteBuf}, {@link End}; who
 * writes flushes.
 */
@SuppressWarnings("FutureReturnValueIgnored") // failures are seen where the channel closes
public final class Http1ServerHandler extends ChannelDuplexHandler {
  /** What a client may send ahead while it is answered, before it is no longer read. */
  private static final int MAX_AHEAD = 64 << 10;

  private static final long LINGER_SECONDS = 2;

  private final Http1Parser parser;
  private ByteBuf received = Unpooled.EMPTY_BUFFER;
  private boolean answering;
  private boolean requestEnded;
  private boolean broken;
  private boolean parsing;
  private boolean keepAlive = true;
  private boolean chunked;
  private boolean bodiless;

  /** The client was given a 101: what it sends from here on is no HTTP. */
  private boolean switched;

  private String method = "";

  public Http1ServerHandler(int maxHeadBytes, Http1Parser.OtherUpgrades otherUpgrades) {
    this.parser = Http1Parser.requests(maxHeadBytes, otherUpgrades);
  }

  @Override
  public void channelRead(ChannelHandlerContext ctx, Object message) {
    ByteBuf more = (ByteBuf) message;
    if (broken) {
      more.release();
      return;
    }
    received = ByteToMessageDecoder.MERGE_CUMULATOR.cumulate(ctx.alloc(), received, more);
    parse(ctx);
    if (requestEnded && received.readableBytes() > MAX_AHEAD) {
      ctx.channel().config().setAutoRead(false);
    }
  }

  private void parse(ChannelHandlerContext ctx) {
    // A handler further on may write an answer, and so come back here, while it is handed a part.
    if (parsing) {
      return;
    }
    parsing = true;
    try {
      while (!requestEnded && !broken) {
        @Nullable Object part = parser.next(received);
        if (part == null) {
          return;
        }
        if (part instanceof RequestHead head) {
          begin(ctx, head);
        } else {
          requestEnded = part instanceof End;
          ctx.fireChannelRead(part);
        }
      }
    } catch (MalformedException e) {
      broken = true;
      keepAlive = false;
      ctx.fireChannelRead(e);
    } finally {
      parsing = false;
    }
  }

  private void begin(ChannelHandlerContext ctx, RequestHead head) throws MalformedException {
    method = head.method();
    keepAlive = head.keepAlive();
    answering = true;
    // It has ended before it is answered, which may be at once: a refusal is to cost it nothing.
    @Nullable Object end = head.bodyLength() == 0 ? parser.next(received) : null;
    requestEnded = end != null;
    ctx.fireChannelRead(head);
    if (end != null) {
      ctx.fireChannelRead(end);
    }
  }

  /** Whether bytes of a head are here, and it is not whole. */
  public boolean inHead() {
    return !answering && !broken && received.isReadable();
  }

  /** Reads no further: the answer that is written next is the last. */
  public void readNoMore() {
    broken = true;
    keepAlive = false;
  }

  @Override
  public void write(ChannelHandlerContext ctx, Object message, ChannelPromise promise) {
    switch (message) {
      case ResponseHead head -> ctx.write(head(ctx, head), promise);
      case ByteBuf data -> {
        if (bodiless || !data.isReadable()) {
          data.release();
          promise.trySuccess();
        } else if (chunked) {
          ctx.write(Http1Writer.chunkStart(data.readableBytes(), ctx.alloc()));
          ctx.write(data);
          ctx.write(Unpooled.copiedBuffer(new byte[] {'\r', '\n'}), promise);
        } else {
          ctx.write(data, promise);
        }
      }
      case End end -> end(ctx, end, promise);
      default -> {
        ReferenceCountUtil.release(message);
        promise.setFailure(new IllegalArgumentException("not an HTTP part: " + message));
      }
    }
  }

  private ByteBuf head(ChannelHandlerContext ctx, ResponseHead head) {
    if (head.informational()) {
      switched = head.status() == 101;
      return Http1Writer.response(head, "", ctx.alloc());
    }
    bodiless = method.equals("HEAD") || head.status() == 204 || head.status() == 304;
    chunked = !bodiless && head.bodyLength() < 0 && !parser.oldVersion();
    if (!requestEnded || (!bodiless && head.bodyLength() < 0 && !chunked)) {
      // What is left of the request would have to be read to find the next one; an attacker could
      // make that long.
      keepAlive = false;
    }
    StringBuilder framing = new StringBuilder();
    if (chunked) {
      framing.append("transfer-encoding: chunked\r\n");
    } else if (!bodiless && head.bodyLength() >= 0) {
      framing.append("content-length: ").append(head.bodyLength()).append("\r\n");
    }
    if (!keepAlive) {
      framing.append("connection: close\r\n");
    }
    return Http1Writer.response(head, framing.toString(), ctx.alloc());
  }

  private void end(ChannelHandlerContext ctx, End end, ChannelPromise promise) {
    answering = false;
    if (!keepAlive) {
      broken = true;
      if (requestEnded) {
        promise.addListener(ChannelFutureListener.CLOSE);
      } else {
        promise.addListener(_ -> hangUp(ctx));
      }
    }
    if (chunked) {
      ctx.write(Http1Writer.lastChunk(end.trailers(), ctx.alloc()), promise);
    } else if (keepAlive) {
      // Not an empty buffer: TLS would be entered for it.
      promise.trySuccess();
    } else {
      // Done when all before it is.
      ctx.write(Unpooled.EMPTY_BUFFER, promise);
    }
    if (!keepAlive) {
      return;
    }
    requestEnded = false;
    // The next request may be here already; not from within the handler that just ended this one.
    ctx.executor()
        .execute(() -> {
          if (!ctx.isRemoved()) {
            parse(ctx);
            ctx.channel().config().setAutoRead(true);
          }
        });
  }

  /**
   * Says goodbye but listens on for a while: a close with bytes unread would reset the connection,
   * and the client might never see the answer.
   */
  public static void hangUp(ChannelHandlerContext ctx) {
    SslHandler tls = ctx.pipeline().get(SslHandler.class);
    if (tls != null) {
      tls.closeOutbound();
    }
    if (ctx.channel() instanceof DuplexChannel duplex) {
      duplex.shutdownOutput();
    }
    ctx.channel().config().setAutoRead(true);
    ctx.executor().schedule(() -> ctx.channel().close(), LINGER_SECONDS, TimeUnit.SECONDS);
  }

  @Override
  public void handlerRemoved(ChannelHandlerContext ctx) {
    ByteBuf rest = received;
    received = Unpooled.EMPTY_BUFFER;
    if (switched && rest.isReadable()) {
      ctx.fireChannelRead(rest);
      ctx.fireChannelReadComplete();
    } else {
      rest.release();
    }
  }
}
