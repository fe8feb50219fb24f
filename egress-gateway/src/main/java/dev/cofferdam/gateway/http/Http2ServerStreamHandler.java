package dev.cofferdam.gateway.http;

import static dev.cofferdam.gateway.http.MalformedException.bad;

import io.netty.buffer.ByteBuf;
import io.netty.channel.ChannelDuplexHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelPromise;
import io.netty.handler.codec.http2.DefaultHttp2DataFrame;
import io.netty.handler.codec.http2.DefaultHttp2HeadersFrame;
import io.netty.handler.codec.http2.Http2DataFrame;
import io.netty.handler.codec.http2.Http2Headers;
import io.netty.handler.codec.http2.Http2HeadersFrame;
import io.netty.util.ReferenceCountUtil;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * One stream of a guest's HTTP/2 connection, in the parts that {@link Http1ServerHandler} gives.
 */
public final class Http2ServerStreamHandler extends ChannelDuplexHandler {
  private boolean headSeen;
  private boolean bodiless;
  private boolean broken;

  /** The head of an answer without a body: it may turn out to be the whole answer. */
  private @Nullable Http2Headers alone;

  @Override
  public void channelRead(ChannelHandlerContext ctx, Object message) {
    switch (message) {
      case Http2HeadersFrame frame -> headers(ctx, frame);
      case Http2DataFrame frame -> {
        if (broken) {
          frame.release();
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

  private void headers(ChannelHandlerContext ctx, Http2HeadersFrame frame) {
    try {
      if (headSeen) {
        ctx.fireChannelRead(new End(Http2Parts.headers(frame.headers())));
        return;
      }
      headSeen = true;
      RequestHead head = request(frame.headers(), frame.isEndStream());
      bodiless = head.method().equals("HEAD");
      ctx.fireChannelRead(head);
      if (frame.isEndStream()) {
        ctx.fireChannelRead(End.plain());
      }
    } catch (MalformedException e) {
      broken = true;
      ctx.fireChannelRead(e);
    }
  }

  private static RequestHead request(Http2Headers from, boolean end) throws MalformedException {
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
        end ? 0 : lengths.isEmpty() ? -1 : Long.parseLong(lengths.getFirst()),
        true,
        headers.lists("expect", "100-continue"));
  }

  @Override
  public void write(ChannelHandlerContext ctx, Object message, ChannelPromise promise) {
    switch (message) {
      case ResponseHead head -> {
        writeAlone(ctx);
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
          ctx.writeAndFlush(new DefaultHttp2HeadersFrame(alone, true), promise);
          alone = null;
        } else {
          writeAlone(ctx);
          ctx.writeAndFlush(Http2Parts.end(end), promise);
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
