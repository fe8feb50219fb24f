package dev.cofferdam.kit.http;

import static dev.cofferdam.kit.http.MalformedException.bad;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelDuplexHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelPromise;
import io.netty.handler.codec.ByteToMessageDecoder;
import io.netty.handler.codec.http2.DefaultHttp2DataFrame;
import io.netty.handler.codec.http2.DefaultHttp2HeadersFrame;
import io.netty.handler.codec.http2.Http2DataFrame;
import io.netty.handler.codec.http2.Http2Headers;
import io.netty.handler.codec.http2.Http2HeadersFrame;
import io.netty.util.ReferenceCountUtil;
import java.util.List;
import java.util.Map;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/**
 * One stream of a client's HTTP/2 connection, in the parts that {@link Http1ServerHandler} gives.
 */
@SuppressWarnings("FutureReturnValueIgnored") // failures are seen where the channel closes
public final class Http2ServerStreamHandler extends ChannelDuplexHandler {
  /**
   * Tells the stream of a WebSocket that whoever reads its frames is there. What came ahead of the
   * answer follows.
   */
  public enum Follow {
    FRAMES
  }

  /** What a client may send before its extended CONNECT is answered. */
  private static final int MAX_AHEAD = 64 << 10;

  private final RandomGenerator random;
  private boolean socket;
  private boolean switched;
  private ByteBuf ahead = Unpooled.EMPTY_BUFFER;
  private boolean endedAhead;
  private boolean headSeen;
  private boolean bodiless;
  private boolean broken;

  /** The head of an answer without a body: it may turn out to be the whole answer. */
  private @Nullable Http2Headers alone;

  /**
   * @param random for the keys of WebSockets, which HTTP/2 has none of
   */
  public Http2ServerStreamHandler(RandomGenerator random) {
    this.random = random;
  }

  @Override
  public void channelRead(ChannelHandlerContext ctx, Object message) {
    switch (message) {
      case Http2HeadersFrame frame -> headers(ctx, frame);
      case Http2DataFrame frame -> {
        if (broken) {
          frame.release();
          return;
        }
        if (socket && !switched) {
          ahead(ctx, frame);
          return;
        }
        ctx.fireChannelRead(frame.content());
        if (frame.isEndStream()) {
          ctx.fireChannelRead(End.plain());
        }
      }
      default -> ReferenceCountUtil.release(message);
    }
  }

  private void ahead(ChannelHandlerContext ctx, Http2DataFrame frame) {
    ahead = ByteToMessageDecoder.MERGE_CUMULATOR.cumulate(ctx.alloc(), ahead, frame.content());
    endedAhead |= frame.isEndStream();
    if (ahead.readableBytes() > MAX_AHEAD) {
      broken = true;
      ctx.fireChannelRead(bad("too much ahead of the answer to a CONNECT"));
    }
  }

  @Override
  public void userEventTriggered(ChannelHandlerContext ctx, Object event) {
    if (event != Follow.FRAMES) {
      ctx.fireUserEventTriggered(event);
      return;
    }
    ByteBuf first = ahead;
    ahead = Unpooled.EMPTY_BUFFER;
    if (first.isReadable()) {
      ctx.fireChannelRead(first);
      ctx.fireChannelReadComplete();
    } else {
      first.release();
    }
    if (endedAhead) {
      ctx.fireChannelRead(End.plain());
    }
  }

  @Override
  public void handlerRemoved(ChannelHandlerContext ctx) {
    ahead.release();
    ahead = Unpooled.EMPTY_BUFFER;
  }

  private void headers(ChannelHandlerContext ctx, Http2HeadersFrame frame) {
    try {
      if (headSeen && socket && !switched) {
        endedAhead = true;
        return;
      }
      if (headSeen) {
        ctx.fireChannelRead(new End(Http2Parts.headers(frame.headers())));
        return;
      }
      headSeen = true;
      RequestHead head = request(frame.headers(), frame.isEndStream());
      bodiless = head.method().equals("HEAD");
      socket = WebSocketHandshake.asked(head);
      ctx.fireChannelRead(head);
      // The request of a WebSocket has no body: what follows are frames.
      if (frame.isEndStream() || socket) {
        ctx.fireChannelRead(End.plain());
      }
    } catch (MalformedException e) {
      broken = true;
      ctx.fireChannelRead(e);
    }
  }

  private RequestHead request(Http2Headers from, boolean end) throws MalformedException {
    Headers headers = Http2Parts.headers(from);
    List<String> hosts = headers.all("host");
    CharSequence authority = from.authority();
    if (authority == null) {
      if (hosts.size() != 1) {
        throw bad("neither :authority nor one host");
      }
      authority = hosts.getFirst();
    } else if (!hosts.stream().allMatch(authority.toString()::equalsIgnoreCase)) {
      throw bad("host differs from :authority");
    }
    CharSequence method = from.method();
    CharSequence path = from.path();
    if (method == null || (path == null && !method.toString().equals("CONNECT"))) {
      throw bad("a pseudo-header is missing");
    }
    if (headers.has("upgrade")) {
      throw bad("an upgrade in HTTP/2");
    }
    CharSequence protocol = from.get(Http2Headers.PseudoHeaderName.PROTOCOL.value());
    if (protocol != null) {
      checkConnect(method, protocol, path, headers, end);
      method = "GET";
      headers = WebSocketHandshake.fromConnect(headers, random);
    }
    RequestRules.check(method.toString(), path == null ? "" : path.toString(), headers);
    List<String> lengths = headers.all("content-length");
    if (lengths.size() > 1 || !lengths.stream().allMatch(l -> l.matches("[0-9]{1,18}"))) {
      throw bad("a content-length that is not one number");
    }
    return new RequestHead(
        method.toString(),
        authority.toString(),
        String.valueOf(path),
        Http2Parts.joinCookies(headers.without("host", "content-length", "expect")),
        end || protocol != null ? 0 : lengths.isEmpty() ? -1 : Long.parseLong(lengths.getFirst()),
        true,
        headers.lists("expect", "100-continue"));
  }

  /** RFC 8441 section 4. */
  private static void checkConnect(
      CharSequence method,
      CharSequence protocol,
      @Nullable CharSequence path,
      Headers headers,
      boolean end)
      throws MalformedException {
    if (!method.toString().equals("CONNECT") || path == null || end) {
      throw bad("a :protocol in what is no extended CONNECT");
    }
    if (headers.has("content-length") || headers.has("expect")) {
      throw bad("an extended CONNECT with a body");
    }
    if (!protocol.toString().equals("websocket")) {
      throw new MalformedException(
          MalformedException.Reason.EXTENDED_CONNECT,
          "an extended CONNECT to another protocol than websocket");
    }
  }

  @Override
  public void write(ChannelHandlerContext ctx, Object message, ChannelPromise promise) {
    switch (message) {
      case ResponseHead head -> {
        writeAlone(ctx);
        if (socket && head.status() == 101) {
          switched = true;
          Headers left = head.headers().without(WebSocketHandshake.OF_HTTP1.toArray(String[]::new));
          ctx.write(
              new DefaultHttp2HeadersFrame(Http2Parts.of(left, Map.of()).status("200"), false),
              promise);
          return;
        }
        Http2Headers headers = Http2Parts.of(head.headers(), Map.of());
        headers.status(String.valueOf(head.status()));
        if (!bodiless && head.bodyLength() > 0) {
          headers.set("content-length", String.valueOf(head.bodyLength()));
        }
        if (head.informational() || head.bodyLength() != 0) {
          ctx.write(new DefaultHttp2HeadersFrame(headers, false), promise);
        } else {
          // gRPC tells a refusal by a head that ends its stream, and takes no other form of it.
          alone = headers;
          promise.trySuccess();
        }
      }
      case ByteBuf data -> {
        if (bodiless || !data.isReadable()) {
          data.release();
          promise.trySuccess();
        } else {
          writeAlone(ctx);
          ctx.write(new DefaultHttp2DataFrame(data, false), promise);
        }
      }
      case End end -> {
        if (alone != null && end.trailers().lines().isEmpty()) {
          ctx.write(new DefaultHttp2HeadersFrame(alone, true), promise);
          alone = null;
        } else {
          writeAlone(ctx);
          ctx.write(Http2Parts.end(end), promise);
        }
      }
      default -> ctx.write(message, promise);
    }
  }

  private void writeAlone(ChannelHandlerContext ctx) {
    if (alone != null) {
      ctx.write(new DefaultHttp2HeadersFrame(alone, false));
      alone = null;
    }
  }
}
