package dev.cofferdam.gateway.http;

import dev.cofferdam.gateway.scrub.Scrubber;
import dev.cofferdam.kit.http.End;
import dev.cofferdam.kit.http.Header;
import dev.cofferdam.kit.http.Headers;
import dev.cofferdam.kit.http.Http2Parts;
import dev.cofferdam.kit.http.MalformedException;
import dev.cofferdam.kit.http.RequestHead;
import dev.cofferdam.kit.http.RequestRules;
import dev.cofferdam.kit.http.ResponseHead;
import dev.cofferdam.kit.http.WebSocketHandshake;
import io.netty.buffer.ByteBuf;
import io.netty.channel.ChannelDuplexHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelPromise;
import io.netty.handler.codec.http2.DefaultHttp2DataFrame;
import io.netty.handler.codec.http2.DefaultHttp2HeadersFrame;
import io.netty.handler.codec.http2.Http2DataFrame;
import io.netty.handler.codec.http2.Http2Headers;
import io.netty.handler.codec.http2.Http2HeadersEncoder;
import io.netty.handler.codec.http2.Http2HeadersFrame;
import io.netty.handler.codec.http2.Http2ResetFrame;
import io.netty.util.ReferenceCountUtil;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;

/** One stream towards an HTTP/2 upstream, in the parts of {@link Http1ClientHandler}. */
public final class Http2ClientStreamHandler extends ChannelDuplexHandler {
  private Optional<Scrubber> scrubber = Optional.empty();
  private boolean headSeen;

  /** The key of the WebSocket that was asked for, of which HTTP/2 knows nothing. */
  private Optional<String> key = Optional.empty();

  /** Whether the end that is written next ends the stream too, or has done so, or never does. */
  private boolean endsRequest = true;

  private boolean ended;
  private boolean broken;

  /** For the connection's codec: secrets are never indexed. */
  public static Http2HeadersEncoder.SensitivityDetector sensitivity() {
    return SecretCharacters.NEVER_INDEXED;
  }

  @Override
  public void write(ChannelHandlerContext ctx, Object message, ChannelPromise promise) {
    switch (message) {
      case OutgoingRequest request -> {
        RequestHead head = request.head();
        scrubber = request.scrubber();
        Map<Integer, SecretCharacters> sealed = new HashMap<>();
        request.sealed().forEach((place, value) -> sealed.put(place, new SecretCharacters(value)));
        Http2Headers headers = Http2Parts.of(head.headers(), sealed);
        headers
            .method(head.method())
            .scheme(request.tls() ? "https" : "http")
            .authority(head.authority())
            .path(request.target().<CharSequence>map(SecretCharacters::new).orElse(head.target()));
        if (WebSocketHandshake.asked(head)) {
          key = head.headers().first("sec-websocket-key");
          endsRequest = false;
          WebSocketHandshake.OF_HTTP1.forEach(headers::remove);
          headers
              .method("CONNECT")
              .set(Http2Headers.PseudoHeaderName.PROTOCOL.value(), "websocket");
        }
        if (head.bodyLength() > 0) {
          headers.set("content-length", String.valueOf(head.bodyLength()));
        }
        // An end of its own would wait behind another stream's body while the connection's window
        // is used up, and with it every request to an upstream that takes one of them slowly.
        boolean whole = head.bodyLength() == 0 && key.isEmpty();
        endsRequest &= !whole;
        // The frame may wait in the codec for a free stream.
        promise.addListener(_ -> request.wipe());
        ctx.write(new DefaultHttp2HeadersFrame(headers, whole), promise);
      }
      case ByteBuf data -> {
        if (data.isReadable()) {
          ctx.write(new DefaultHttp2DataFrame(data, false), promise);
        } else {
          data.release();
          promise.trySuccess();
        }
      }
      case End end -> {
        if (endsRequest) {
          ctx.write(Http2Parts.end(end), promise);
        } else {
          // The head was all of it, or it is a WebSocket's, whose frames follow on the stream.
          endsRequest = true;
          promise.trySuccess();
        }
      }
      default -> ctx.write(message, promise);
    }
  }

  @Override
  public void channelRead(ChannelHandlerContext ctx, Object message) {
    if (broken && !(message instanceof Http2ResetFrame)) {
      ReferenceCountUtil.release(message);
      return;
    }
    switch (message) {
      case Http2HeadersFrame frame -> headers(ctx, frame);
      case Http2DataFrame frame -> {
        ctx.fireChannelRead(frame.content());
        if (frame.isEndStream()) {
          end(ctx, End.plain());
        }
      }
      case Http2ResetFrame _ -> ctx.close();
      default -> ReferenceCountUtil.release(message);
    }
  }

  private void headers(ChannelHandlerContext ctx, Http2HeadersFrame frame) {
    CharSequence status = frame.headers().status();
    Headers headers =
        scrubber
            .map(s -> DecodedHeaders.scrubbed(frame.headers(), s, ctx.alloc()))
            .orElseGet(() -> Http2Parts.headers(frame.headers()));
    if (!headers.lines().stream().allMatch(Http2ClientStreamHandler::writable)) {
      malformed(ctx, "a header that HTTP/1.1 cannot carry");
      return;
    }
    if (headSeen) {
      trailers(ctx, frame, headers);
      return;
    }
    if (status == null || !valid(status)) {
      malformed(ctx, "an answer without a proper status");
      return;
    }
    int code = Integer.parseInt(status.toString());
    if (code == 101) {
      malformed(ctx, "a change of protocol, which HTTP/2 has none of");
      return;
    }
    headSeen = code >= 200;
    if (!headSeen && frame.isEndStream()) {
      malformed(ctx, "an answer that ends before it began");
      return;
    }
    if (key.isPresent() && code >= 200 && code < 300) {
      if (frame.isEndStream()) {
        malformed(ctx, "a WebSocket that ends before it began");
      } else {
        ctx.fireChannelRead(
            new ResponseHead(101, WebSocketHandshake.from2xx(headers, key.get()), 0));
      }
      return;
    }
    long length =
        frame.isEndStream()
            ? 0
            : headers
                .first("content-length")
                .filter(text -> text.matches("[0-9]{1,18}"))
                .map(Long::parseLong)
                .orElse(-1L);
    boolean keepsLength = frame.isEndStream();
    ctx.fireChannelRead(
        new ResponseHead(code, keepsLength ? headers : headers.without("content-length"), length));
    if (frame.isEndStream()) {
      end(ctx, End.plain());
    }
  }

  /** RFC 9113 section 8.1: they end the stream, and no pseudo-header is among them. */
  private void trailers(ChannelHandlerContext ctx, Http2HeadersFrame frame, Headers trailers) {
    boolean pseudo = frame.headers().names().stream().anyMatch(name -> name.charAt(0) == ':');
    if (pseudo || !frame.isEndStream()) {
      malformed(ctx, "a second head in the middle of an answer");
    } else {
      end(ctx, new End(trailers));
    }
  }

  private void malformed(ChannelHandlerContext ctx, String why) {
    broken = true;
    ctx.fireChannelRead(MalformedException.bad(why));
  }

  private static boolean valid(CharSequence status) {
    return status.length() == 3
        && status.charAt(0) != '0'
        && IntStream.range(0, 3).allMatch(i -> Character.digit(status.charAt(i), 10) >= 0);
  }

  /** What HTTP/2 carries and HTTP/1.1 must not. */
  private static boolean writable(Header header) {
    return RequestRules.isToken(header.name()) && RequestRules.isValue(header.value());
  }

  private void end(ChannelHandlerContext ctx, End end) {
    if (!ended) {
      ended = true;
      ctx.fireChannelRead(end);
    }
  }
}
