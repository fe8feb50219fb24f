package dev.cofferdam.gateway.http;

import dev.cofferdam.gateway.event.Faults;
import dev.cofferdam.gateway.scrub.Scrubber;
import dev.cofferdam.kit.http.End;
import dev.cofferdam.kit.http.Http1Parser;
import dev.cofferdam.kit.http.Http1Writer;
import dev.cofferdam.kit.http.MalformedException;
import dev.cofferdam.kit.http.ResponseHead;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelDuplexHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelPromise;
import io.netty.handler.codec.ByteToMessageDecoder;
import io.netty.util.ReferenceCountUtil;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The upstream's end of HTTP/1.1, one request at a time.
 *
 * <p>Writes: {@link OutgoingRequest}, {@link ByteBuf}, {@link End}; who writes flushes. Reads:
 * {@link ResponseHead}, {@link ByteBuf}, {@link End}, or a {@link MalformedException}.
 */
public final class Http1ClientHandler extends ChannelDuplexHandler {
  private final Http1Parser parser;
  private ByteBuf received = Unpooled.EMPTY_BUFFER;
  private boolean chunked;
  private boolean awaiting;
  private boolean reusable = true;
  private boolean requestEnded;
  private boolean broken;

  /** The upstream has answered 101: what it sends from here on is no HTTP. */
  private boolean switched;

  public Http1ClientHandler(int maxHeadBytes) {
    this.parser = Http1Parser.responses(maxHeadBytes);
  }

  /** Whether another request may follow: both messages ended and neither side asked to close. */
  public boolean reusable() {
    return reusable && !awaiting && requestEnded && !broken && !received.isReadable();
  }

  @Override
  public void write(ChannelHandlerContext ctx, Object message, ChannelPromise promise) {
    switch (message) {
      case OutgoingRequest request -> {
        ByteBuf bytes = Http1Writer.request(request.head(), request, ctx.alloc());
        request.wipe();
        chunked = request.head().bodyLength() < 0;
        awaiting = true;
        requestEnded = false;
        Optional<Scrubber> scrubber = request.scrubber();
        // Scrubbed as bytes outside the heap, so that an echoed value never becomes a String.
        parser.expectAnswer(
            request.head().method(),
            raw -> scrubber.map(s -> s.whole(raw, ctx.alloc())).orElse(raw));
        ctx.write(bytes, promise);
      }
      case ByteBuf data -> {
        if (!data.isReadable()) {
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
      case End end -> {
        requestEnded = true;
        if (chunked) {
          ctx.write(Http1Writer.lastChunk(end.trailers(), ctx.alloc()), promise);
        } else {
          // Not an empty buffer: TLS would be entered for it.
          promise.trySuccess();
        }
      }
      default -> {
        ReferenceCountUtil.release(message);
        promise.setFailure(new IllegalArgumentException("not an HTTP part: " + message));
      }
    }
  }

  @Override
  public void channelRead(ChannelHandlerContext ctx, Object message) {
    ByteBuf more = (ByteBuf) message;
    if (!awaiting || broken) {
      // An answer nobody asked for: whoever gets this connection next would take it for theirs.
      more.release();
      reusable = false;
      ctx.close();
      return;
    }
    received = ByteToMessageDecoder.MERGE_CUMULATOR.cumulate(ctx.alloc(), received, more);
    parse(ctx);
  }

  private void parse(ChannelHandlerContext ctx) {
    try {
      while (awaiting) {
        @Nullable Object part = parser.next(received);
        if (part == null) {
          return;
        }
        switch (part) {
          case ResponseHead head -> {
            if (head.status() == 101) {
              switched = true;
              awaiting = false;
              reusable = false;
            }
            // HTTP/1.0 closes unless both sides say otherwise, and we never do.
            if (!head.informational()
                && (parser.oldVersion() || head.headers().lists("connection", "close"))) {
              reusable = false;
            }
          }
          case End _ -> awaiting = false;
          default -> {}
        }
        ctx.fireChannelRead(part);
      }
    } catch (MalformedException e) {
      broken = true;
      reusable = false;
      ctx.fireChannelRead(e);
    }
  }

  @Override
  public void channelInactive(ChannelHandlerContext ctx) {
    reusable = false;
    if (awaiting && !broken && parser.closed()) {
      awaiting = false;
      ctx.fireChannelRead(End.plain());
    }
    ctx.fireChannelInactive();
  }

  @Override
  public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
    reusable = false;
    Faults.close(ctx, cause);
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
