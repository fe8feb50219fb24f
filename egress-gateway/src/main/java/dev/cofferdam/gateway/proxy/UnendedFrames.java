package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.slot.Tally;
import io.netty.buffer.ByteBuf;
import io.netty.channel.ChannelHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.handler.codec.http.websocketx.ContinuationWebSocketFrame;
import io.netty.handler.codec.http.websocketx.WebSocket13FrameDecoder;
import io.netty.handler.codec.http.websocketx.WebSocketDecoderConfig;
import io.netty.handler.codec.http.websocketx.WebSocketFrame;
import io.netty.handler.codec.http.websocketx.WebSocketFrameAggregator;
import java.util.List;

/**
 * Reads the frames of one side of a WebSocket, and its messages where they are needed whole. Either
 * is held until it has ended, and what all WebSockets of a sandbox hold so is bounded: some
 * hundreds of them that each send most of a frame would fill the gateway's memory. Used on one
 * event loop.
 */
final class UnendedFrames {
  /** Of one frame, and of one message. */
  static final int MAX_FRAME = 4 << 20;

  /** Of a sandbox together, either way. */
  static final int MAX_TOGETHER = 64 << 20;

  private final Tally together;
  private final Runnable full;

  /**
   * @param together bytes that the sandbox holds so
   * @param full told when it may hold no more; what came is held all the same, until the channel is
   *     closed
   */
  UnendedFrames(Tally together, Runnable full) {
    this.together = together;
    this.full = full;
  }

  /**
   * @param masked as a client's are
   */
  ChannelHandler frames(boolean masked) {
    return new Frames(
        WebSocketDecoderConfig.newBuilder()
            .expectMaskedFrames(masked)
            .allowMaskMismatch(false)
            .allowExtensions(false)
            .maxFramePayloadLength(MAX_FRAME)
            .withUTF8Validator(false)
            .build());
  }

  ChannelHandler messages() {
    return new Messages();
  }

  /** What one of them holds. */
  private final class Held {
    private int bytes;

    void are(int now) {
      int before = bytes;
      bytes = now;
      if (now > before && !together.tryAdd(now - before, MAX_TOGETHER)) {
        bytes = before;
        full.run();
      } else if (now < before) {
        together.remove(before - now);
      }
    }
  }

  private final class Frames extends WebSocket13FrameDecoder {
    private final Held held = new Held();

    Frames(WebSocketDecoderConfig config) {
      super(config);
    }

    @Override
    public void channelRead(ChannelHandlerContext ctx, Object message) throws Exception {
      super.channelRead(ctx, message);
      held.are(ctx.isRemoved() ? 0 : actualReadableBytes());
    }

    /** A frame that has ended is no longer held here when it is handed on. */
    @Override
    protected void decode(ChannelHandlerContext ctx, ByteBuf in, List<Object> out)
        throws Exception {
      super.decode(ctx, in, out);
      if (!out.isEmpty()) {
        held.are(in.readableBytes());
      }
    }

    @Override
    protected void handlerRemoved0(ChannelHandlerContext ctx) {
      held.are(0);
    }
  }

  private final class Messages extends WebSocketFrameAggregator {
    private final Held held = new Held();

    Messages() {
      super(MAX_FRAME);
    }

    @Override
    protected WebSocketFrame beginAggregation(WebSocketFrame first, ByteBuf content)
        throws Exception {
      held.are(content.readableBytes());
      return super.beginAggregation(first, content);
    }

    @Override
    protected void aggregate(WebSocketFrame whole, ContinuationWebSocketFrame part)
        throws Exception {
      super.aggregate(whole, part);
      held.are(whole.content().readableBytes());
    }

    @Override
    protected void finishAggregation(WebSocketFrame whole) throws Exception {
      held.are(0);
      super.finishAggregation(whole);
    }

    @Override
    public void handlerRemoved(ChannelHandlerContext ctx) throws Exception {
      held.are(0);
      super.handlerRemoved(ctx);
    }
  }
}
