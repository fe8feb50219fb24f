package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.http.Http1ClientHandler;
import dev.cofferdam.gateway.http.Http1ServerHandler;
import dev.cofferdam.gateway.placeholder.BodyScanner;
import dev.cofferdam.gateway.placeholder.Candidates;
import dev.cofferdam.v1.EgressReason;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.handler.codec.http.websocketx.BinaryWebSocketFrame;
import io.netty.handler.codec.http.websocketx.CloseWebSocketFrame;
import io.netty.handler.codec.http.websocketx.ContinuationWebSocketFrame;
import io.netty.handler.codec.http.websocketx.TextWebSocketFrame;
import io.netty.handler.codec.http.websocketx.WebSocket13FrameDecoder;
import io.netty.handler.codec.http.websocketx.WebSocket13FrameEncoder;
import io.netty.handler.codec.http.websocketx.WebSocketCloseStatus;
import io.netty.handler.codec.http.websocketx.WebSocketDecoderConfig;
import io.netty.handler.codec.http.websocketx.WebSocketFrame;
import io.netty.handler.codec.http.websocketx.WebSocketFrameAggregator;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.IntPredicate;

/**
 * A WebSocket from its 101 on (RFC 6455 section 5). Frames are read and written anew: the guest's
 * are searched for placeholders, of which none may leave in one; the upstream's are scrubbed where
 * the request that began it held a secret. Used on the event loop of both connections.
 */
final class WebSocketRelay {
  /** Of one frame; where answers are scrubbed, of one message. Each is held in memory whole. */
  static final int MAX_FRAME = 4 << 20;

  /** Why it ended before either side wanted it to. */
  record Refusal(EgressReason reason, String message, String secret) {}

  /** How it ended. */
  record Outcome(Optional<Refusal> refusal, long out, long in) {}

  private final Channel guest;
  private final Channel upstream;
  private final Optional<Secrets> secrets;
  private final Function<Candidates.Found, Refusal> judge;
  private final IntPredicate counted;
  private Optional<Refusal> refusal = Optional.empty();
  private long out;
  private long in;

  private WebSocketRelay(
      Channel guest,
      Channel upstream,
      Optional<Secrets> secrets,
      Function<Candidates.Found, Refusal> judge,
      IntPredicate counted) {
    this.guest = guest;
    this.upstream = upstream;
    this.secrets = secrets;
    this.judge = judge;
    this.counted = counted;
  }

  /**
   * Takes both connections over; the guest has been given the 101.
   *
   * @param secrets of the request, which stay the caller's to close when it is over
   * @param judge of what was found in a guest's frame
   * @param counted whether so many bytes more may go, either way
   * @param over told once
   */
  static void join(
      Channel guest,
      Channel upstream,
      Optional<Secrets> secrets,
      Function<Candidates.Found, Refusal> judge,
      IntPredicate counted,
      Consumer<Outcome> over) {
    WebSocketRelay relay = new WebSocketRelay(guest, upstream, secrets, judge, counted);
    upstream
        .pipeline()
        .addLast(new WebSocket13FrameEncoder(true), new WebSocket13FrameDecoder(frames(false)));
    if (secrets.isPresent()) {
      upstream.pipeline().addLast(new WebSocketFrameAggregator(MAX_FRAME));
    }
    upstream.pipeline().addLast(relay.new FromUpstream());
    guest
        .pipeline()
        .addLast(new WebSocket13FrameEncoder(false), new WebSocket13FrameDecoder(frames(true)))
        .addLast(relay.new FromGuest());
    guest
        .closeFuture()
        .addListener(_ -> over.accept(new Outcome(relay.refusal, relay.out, relay.in)));
    // What either side sent behind its half of the handshake is handed on as these two go.
    upstream.pipeline().remove(Http1ClientHandler.class);
    guest.pipeline().remove(GuestHandler.class);
    guest.pipeline().remove(Http1ServerHandler.class);
    upstream.config().setAutoRead(true);
    guest.config().setAutoRead(true);
  }

  private static WebSocketDecoderConfig frames(boolean masked) {
    return WebSocketDecoderConfig.newBuilder()
        .expectMaskedFrames(masked)
        .allowMaskMismatch(false)
        .allowExtensions(false)
        .maxFramePayloadLength(MAX_FRAME)
        .withUTF8Validator(false)
        .build();
  }

  private void refuse(Refusal why) {
    if (refusal.isPresent()) {
      return;
    }
    refusal = Optional.of(why);
    upstream.close();
    guest
        .writeAndFlush(
            new CloseWebSocketFrame(
                WebSocketCloseStatus.POLICY_VIOLATION,
                dev.cofferdam.gateway.event.Reasons.text(why.reason())))
        .addListener(ChannelFutureListener.CLOSE);
  }

  /** One direction. */
  private abstract class Direction extends ChannelInboundHandlerAdapter {
    private final Channel to;

    Direction(Channel to) {
      this.to = to;
    }

    abstract void frame(WebSocketFrame frame);

    abstract Refusal broken(String why);

    @Override
    public void channelRead(ChannelHandlerContext ctx, Object message) {
      WebSocketFrame frame = (WebSocketFrame) message;
      if (refusal.isPresent()) {
        frame.release();
        return;
      }
      if (!counted.test(frame.content().readableBytes())) {
        frame.release();
        refuse(
            new Refusal(EgressReason.EGRESS_REASON_CAP_EXCEEDED, "a cap on bytes is reached", ""));
        return;
      }
      frame(frame);
      if (!to.isWritable()) {
        ctx.channel().config().setAutoRead(false);
      }
    }

    void send(WebSocketFrame frame) {
      to.write(frame);
    }

    @Override
    public void channelReadComplete(ChannelHandlerContext ctx) {
      to.flush();
    }

    @Override
    public void channelWritabilityChanged(ChannelHandlerContext ctx) {
      if (ctx.channel().isWritable()) {
        to.config().setAutoRead(true);
      }
      ctx.fireChannelWritabilityChanged();
    }

    @Override
    public void channelInactive(ChannelHandlerContext ctx) {
      to.writeAndFlush(Unpooled.EMPTY_BUFFER).addListener(ChannelFutureListener.CLOSE);
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
      refuse(broken(String.valueOf(cause.getMessage())));
      ctx.close();
    }
  }

  private final class FromGuest extends Direction {
    private BodyScanner message = new BodyScanner();

    FromGuest() {
      super(upstream);
    }

    @Override
    void frame(WebSocketFrame frame) {
      out += frame.content().readableBytes();
      if (frame instanceof TextWebSocketFrame
          || frame instanceof BinaryWebSocketFrame
          || frame instanceof ContinuationWebSocketFrame) {
        part(frame);
      } else {
        // A ping, a pong or a close, which may come in the midst of a message.
        search(new BodyScanner(), frame);
      }
    }

    private void part(WebSocketFrame frame) {
      boolean last = frame.isFinalFragment();
      search(message, frame);
      if (last) {
        message.close();
        message = new BodyScanner();
      }
    }

    private void search(BodyScanner scanner, WebSocketFrame frame) {
      boolean last = frame.isFinalFragment();
      ByteBuf leaving = scanner.feed(frame.content(), last);
      List<Candidates.Found> found = scanner.found();
      if (found.isEmpty()) {
        send(frame.replace(leaving));
      } else {
        leaving.release();
        refuse(judge.apply(found.getFirst()));
      }
    }

    @Override
    Refusal broken(String why) {
      return new Refusal(
          EgressReason.EGRESS_REASON_MALFORMED_REQUEST, "not a WebSocket's frame: " + why, "");
    }

    @Override
    public void handlerRemoved(ChannelHandlerContext ctx) {
      message.close();
    }
  }

  private final class FromUpstream extends Direction {
    FromUpstream() {
      super(guest);
    }

    @Override
    void frame(WebSocketFrame frame) {
      in += frame.content().readableBytes();
      if (secrets.isEmpty()) {
        send(frame);
        return;
      }
      var scrubber = secrets.get().scrubber();
      WebSocketFrame clean = frame.replace(scrubber.whole(frame.content(), upstream.alloc()));
      if (secrets.get().weak() && scrubber.weakSeen()) {
        clean.release();
        refuse(
            new Refusal(
                EgressReason.EGRESS_REASON_WEAK_VALUE_IN_ANSWER,
                "a message holds a value that could be guessed",
                ""));
      } else {
        send(clean);
      }
    }

    @Override
    Refusal broken(String why) {
      return new Refusal(
          EgressReason.EGRESS_REASON_UPSTREAM_UNREACHABLE,
          "the upstream's is not a WebSocket's frame: " + why,
          "");
    }
  }
}
