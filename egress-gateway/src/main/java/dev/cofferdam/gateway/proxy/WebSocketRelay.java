package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.event.Faults;
import dev.cofferdam.gateway.http.Http1ClientHandler;
import dev.cofferdam.gateway.placeholder.BodyScanner;
import dev.cofferdam.gateway.placeholder.Candidates;
import dev.cofferdam.gateway.scrub.Scrubber;
import dev.cofferdam.gateway.slot.Tally;
import dev.cofferdam.kit.http.End;
import dev.cofferdam.kit.http.Http1ServerHandler;
import dev.cofferdam.kit.http.Http2ServerStreamHandler;
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
import io.netty.handler.codec.http.websocketx.WebSocket13FrameEncoder;
import io.netty.handler.codec.http.websocketx.WebSocketCloseStatus;
import io.netty.handler.codec.http.websocketx.WebSocketFrame;
import io.netty.handler.codec.http2.Http2StreamChannel;
import io.netty.util.ReferenceCountUtil;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.IntPredicate;

/**
 * A WebSocket from its 101 on (RFC 6455 section 5), over a connection of its own or over a stream
 * of HTTP/2 (RFC 8441), on either side. Frames are read and written anew: the guest's are searched
 * for placeholders, of which none may leave; in a text message one may stand for a value, if a
 * binding says so. The upstream's are scrubbed where a value was sent. Used on the event loop of
 * both connections.
 */
final class WebSocketRelay {
  /** Why it ended before either side wanted it to. */
  record Refusal(EgressReason reason, String message, String secret) {}

  /** How it ended. */
  record Outcome(Optional<Refusal> refusal, long out, long in) {}

  private final Channel guest;
  private final Channel upstream;
  private final FrameSecrets secrets;
  private final IntPredicate counted;
  private Optional<Refusal> refusal = Optional.empty();
  private long out;
  private long in;

  /** The broker is asked for the values of a message; what comes behind it waits. */
  private boolean asking;

  private WebSocketRelay(
      Channel guest, Channel upstream, FrameSecrets secrets, IntPredicate counted) {
    this.guest = guest;
    this.upstream = upstream;
    this.secrets = secrets;
    this.counted = counted;
  }

  /**
   * Takes both connections over; the guest has been given the 101.
   *
   * @param secrets stay the caller's to close when it is over
   * @param unended bytes that the sandbox's WebSockets hold of frames
   * @param counted whether so many bytes more may go, either way
   * @param over told once
   */
  static void join(
      Channel guest,
      Channel upstream,
      FrameSecrets secrets,
      Tally unended,
      IntPredicate counted,
      Consumer<Outcome> over) {
    WebSocketRelay relay = new WebSocketRelay(guest, upstream, secrets, counted);
    UnendedFrames held = new UnendedFrames(unended, relay::tooMuchUnended);
    upstream.pipeline().addLast(new WebSocket13FrameEncoder(true), held.frames(false));
    if (secrets.scrubs()) {
      upstream.pipeline().addLast(held.messages());
    }
    upstream.pipeline().addLast(relay.new FromUpstream());
    guest.pipeline().addLast(new WebSocket13FrameEncoder(false), held.frames(true));
    if (secrets.targeted()) {
      guest.pipeline().addLast(held.messages());
    }
    guest.pipeline().addLast(relay.new FromGuest());
    guest
        .closeFuture()
        .addListener(_ -> over.accept(new Outcome(relay.refusal, relay.out, relay.in)));
    // What either side sent behind its half of the handshake is handed on as these two go.
    if (!(upstream instanceof Http2StreamChannel)) {
      upstream.pipeline().remove(Http1ClientHandler.class);
    }
    guest.pipeline().remove(GuestHandler.class);
    if (guest instanceof Http2StreamChannel) {
      guest.pipeline().fireUserEventTriggered(Http2ServerStreamHandler.Follow.FRAMES);
    } else {
      guest.pipeline().remove(Http1ServerHandler.class);
    }
    upstream.config().setAutoRead(true);
    guest.config().setAutoRead(!relay.asking);
  }

  private void tooMuchUnended() {
    refuse(
        new Refusal(
            EgressReason.EGRESS_REASON_TOO_MANY_AT_ONCE,
            "the WebSockets of this sandbox hold too much of frames that have not ended",
            ""));
  }

  private void refuse(Refusal why) {
    if (refusal.isPresent()) {
      return;
    }
    refusal = Optional.of(why);
    upstream.close();
    guest.write(
        new CloseWebSocketFrame(
            WebSocketCloseStatus.POLICY_VIOLATION,
            dev.cofferdam.gateway.event.Reasons.text(why.reason())));
    hangUp(guest);
  }

  /** Closes once all was written; a stream of HTTP/2 with its end (RFC 8441 section 5). */
  private static void hangUp(Channel channel) {
    channel
        .writeAndFlush(channel instanceof Http2StreamChannel ? End.plain() : Unpooled.EMPTY_BUFFER)
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
      if (!(message instanceof WebSocketFrame frame)) {
        // A stream of HTTP/2 that ends, in order or not.
        ReferenceCountUtil.release(message);
        hangUp(to);
        return;
      }
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
        to.config().setAutoRead(!asking || !to.equals(guest));
      }
      ctx.fireChannelWritabilityChanged();
    }

    @Override
    public void channelInactive(ChannelHandlerContext ctx) {
      hangUp(to);
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
      // Only what is the peer's is said of it: a message of ours may quote what was handled.
      refuse(broken(Faults.own(cause) ? "the gateway failed" : String.valueOf(cause.getMessage())));
      Faults.close(ctx, cause);
    }
  }

  private final class FromGuest extends Direction implements FrameSecrets.Listener {
    private final Deque<WebSocketFrame> behind = new ArrayDeque<>();
    private BodyScanner message = new BodyScanner();

    FromGuest() {
      super(upstream);
    }

    @Override
    void frame(WebSocketFrame frame) {
      if (asking) {
        behind.add(frame);
        return;
      }
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
        return;
      }
      if (secrets.targeted() && frame instanceof TextWebSocketFrame) {
        asking = true;
        guest.config().setAutoRead(false);
        // Of the upstream's, whose buffers are zeroed once they were sent.
        secrets.fill(leaving, List.copyOf(found), upstream.alloc(), this);
      } else {
        refuse(secrets.outside(found.getFirst()));
      }
      leaving.release();
    }

    @Override
    public void filled(ByteBuf whole) {
      asking = false;
      if (refusal.isPresent()) {
        whole.release();
        return;
      }
      send(new TextWebSocketFrame(whole));
      while (!asking && !behind.isEmpty()) {
        frame(behind.remove());
      }
      upstream.flush();
      if (!asking && upstream.isWritable()) {
        guest.config().setAutoRead(true);
      }
    }

    @Override
    public void refused(Refusal why) {
      asking = false;
      refuse(why);
    }

    @Override
    Refusal broken(String why) {
      return new Refusal(
          EgressReason.EGRESS_REASON_MALFORMED_REQUEST, "not a WebSocket's frame: " + why, "");
    }

    @Override
    public void handlerRemoved(ChannelHandlerContext ctx) {
      message.close();
      behind.forEach(WebSocketFrame::release);
      behind.clear();
    }
  }

  private final class FromUpstream extends Direction {
    FromUpstream() {
      super(guest);
    }

    @Override
    void frame(WebSocketFrame frame) {
      in += frame.content().readableBytes();
      Optional<Scrubber> scrubber = secrets.scrubber();
      if (scrubber.isEmpty()) {
        send(frame);
        return;
      }
      WebSocketFrame clean = frame.replace(scrubber.get().whole(frame.content(), upstream.alloc()));
      if (secrets.weak() && scrubber.get().weakSeen()) {
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
