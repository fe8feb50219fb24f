package dev.cofferdam.gateway;

import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import io.netty.channel.ChannelDuplexHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelPromise;
import io.netty.handler.codec.http.websocketx.BinaryWebSocketFrame;
import io.netty.handler.codec.http.websocketx.CloseWebSocketFrame;
import io.netty.handler.codec.http.websocketx.PongWebSocketFrame;
import io.netty.handler.codec.http.websocketx.WebSocket13FrameDecoder;
import io.netty.handler.codec.http.websocketx.WebSocket13FrameEncoder;
import io.netty.handler.codec.http.websocketx.WebSocketFrame;
import io.netty.handler.codec.http2.DefaultHttp2DataFrame;
import io.netty.handler.codec.http2.Http2DataFrame;
import io.netty.handler.codec.http2.Http2Headers;
import io.netty.handler.codec.http2.Http2HeadersFrame;
import io.netty.util.ReferenceCountUtil;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** A guest's WebSocket on a stream of HTTP/2. */
final class Http2Socket extends ChannelDuplexHandler {
  private final CompletableFuture<Channel> stream = new CompletableFuture<>();
  private final CompletableFuture<Http2Headers> answer = new CompletableFuture<>();
  private final BlockingQueue<String> all = new LinkedBlockingQueue<>();

  @Override
  public void handlerAdded(ChannelHandlerContext ctx) {
    ctx.pipeline()
        .addLast(
            new WebSocket13FrameEncoder(true),
            new WebSocket13FrameDecoder(false, false, 8 << 20),
            new ChannelInboundHandlerAdapter() {
              @Override
              public void channelRead(ChannelHandlerContext after, Object message) {
                if (message instanceof WebSocketFrame frame) {
                  all.add(word(frame));
                }
                ReferenceCountUtil.release(message);
              }
            });
    stream.complete(ctx.channel());
  }

  /** As {@link Heard} says it. */
  private static String word(WebSocketFrame frame) {
    String content = frame.content().toString(StandardCharsets.ISO_8859_1);
    return switch (frame) {
      case BinaryWebSocketFrame _ -> "binary " + content;
      case PongWebSocketFrame _ -> "pong " + content;
      case CloseWebSocketFrame close -> "close " + close.statusCode() + " " + close.reasonText();
      default -> content;
    };
  }

  @Override
  public void channelRead(ChannelHandlerContext ctx, Object message) {
    switch (message) {
      case Http2HeadersFrame frame -> answer.complete(frame.headers());
      case Http2DataFrame frame -> {
        boolean ends = frame.isEndStream();
        ctx.fireChannelRead(frame.content());
        if (ends) {
          all.add("end");
        }
      }
      default -> ReferenceCountUtil.release(message);
    }
  }

  @Override
  public void write(ChannelHandlerContext ctx, Object message, ChannelPromise promise) {
    ctx.write(message instanceof ByteBuf data ? new DefaultHttp2DataFrame(data) : message, promise);
  }

  @Override
  public void channelInactive(ChannelHandlerContext ctx) {
    answer.completeExceptionally(new AssertionError("the stream was closed unanswered"));
    all.add("closed");
  }

  String status() throws Exception {
    return String.valueOf(answer.get(20, TimeUnit.SECONDS).status());
  }

  String header(String name) throws Exception {
    return String.valueOf(answer.get(20, TimeUnit.SECONDS).get(name));
  }

  Http2Socket send(Object... frames) throws Exception {
    Channel channel = stream.get(20, TimeUnit.SECONDS);
    for (Object frame : frames) {
      channel.write(frame);
    }
    channel.flush();
    return this;
  }

  /** Returns once it was given to the connection. */
  void sendWhole(Object frame) throws Exception {
    stream.get(20, TimeUnit.SECONDS).writeAndFlush(frame).get(60, TimeUnit.SECONDS);
  }

  /** Counts it once it was given to the connection. */
  void sendCounted(Object frame, AtomicInteger taken) throws Exception {
    stream
        .get(20, TimeUnit.SECONDS)
        .writeAndFlush(frame)
        .addListener(done -> {
          if (done.isSuccess()) {
            taken.incrementAndGet();
          }
        });
  }

  /** The next frame in words, {@code end} or {@code closed}. */
  String next() throws InterruptedException {
    String next = all.poll(20, TimeUnit.SECONDS);
    if (next == null) {
      throw new AssertionError("nothing came");
    }
    return next;
  }
}
