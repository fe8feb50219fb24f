package dev.cofferdam.gateway;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.handler.codec.http.DefaultHttpContent;
import io.netty.handler.codec.http.DefaultHttpResponse;
import io.netty.handler.codec.http.HttpContent;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.codec.http.LastHttpContent;
import io.netty.util.ReferenceCountUtil;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

/**
 * What an upstream says and hears without an end in sight, at the other side's pace: {@code
 * /long/N} gives N times {@link #FILLER} and the request's credential, {@code /take} hears a body
 * and says how many bytes it had, from when it is told to begin, and {@code /events} says what it
 * is told to. Other requests it lets be.
 */
final class LongBodies extends ChannelInboundHandlerAdapter {
  /** Of an odd length, so that what follows it stands at every place of a chunk in turn. */
  static final String FILLER = "filler of the kind that holds nothing. ".repeat(1679);

  private static final int CHUNK = 64 << 10;

  /** What a test sees of it, and tells it. */
  static final class Control {
    /** Bytes that were given to the connection of a {@code /long}. */
    final AtomicLong given = new AtomicLong();

    /** With each permit one {@code /take} begins to read. */
    final Semaphore mayTake = new Semaphore(0);

    private final BlockingQueue<ChannelHandlerContext> listeners = new LinkedBlockingQueue<>();

    /** Who asked for {@code /events} next. */
    ChannelHandlerContext listener() throws InterruptedException {
      ChannelHandlerContext next = listeners.poll(20, TimeUnit.SECONDS);
      if (next == null) {
        throw new AssertionError("nobody asked for events");
      }
      return next;
    }

    static void say(ChannelHandlerContext listener, String text) {
      listener.writeAndFlush(new DefaultHttpContent(Unpooled.copiedBuffer(bytes(text))));
    }
  }

  private final Control control;
  private boolean mine;
  private boolean taking;
  private long taken;
  private byte[] period = {};
  private int at;
  private long left;

  LongBodies(Control control) {
    this.control = control;
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.ISO_8859_1);
  }

  @Override
  public void channelRead(ChannelHandlerContext ctx, Object message) {
    if (message instanceof HttpRequest request) {
      mine = begins(ctx, request);
    }
    if (!mine) {
      ctx.fireChannelRead(message);
      return;
    }
    if (message instanceof HttpContent content) {
      taken += content.content().readableBytes();
    }
    boolean ends = taking && message instanceof LastHttpContent;
    ReferenceCountUtil.release(message);
    if (ends) {
      head(ctx);
      ctx.write(new DefaultHttpContent(Unpooled.copiedBuffer(bytes("took " + taken))));
      ctx.writeAndFlush(LastHttpContent.EMPTY_LAST_CONTENT);
    }
  }

  private boolean begins(ChannelHandlerContext ctx, HttpRequest request) {
    String uri = request.uri();
    taking = uri.equals("/take");
    if (uri.startsWith("/long/")) {
      String credential = String.valueOf(request.headers().get("authorization"));
      period = bytes(FILLER + credential + "\n");
      left = Long.parseLong(uri.substring("/long/".length())) * period.length;
      head(ctx);
      give(ctx);
    } else if (uri.equals("/events")) {
      head(ctx);
      ctx.flush();
      control.listeners.add(ctx);
    } else if (taking) {
      taken = 0;
      ctx.channel().config().setAutoRead(false);
      Thread.ofVirtual()
          .start(() -> {
            control.mayTake.acquireUninterruptibly();
            ctx.channel().config().setAutoRead(true);
          });
    } else {
      return false;
    }
    return true;
  }

  private static void head(ChannelHandlerContext ctx) {
    DefaultHttpResponse head = new DefaultHttpResponse(HttpVersion.HTTP_1_1, HttpResponseStatus.OK);
    head.headers().set("transfer-encoding", "chunked").set("content-type", "text/event-stream");
    ctx.write(head);
  }

  private void give(ChannelHandlerContext ctx) {
    while (left > 0 && ctx.channel().isWritable()) {
      int size = (int) Math.min(CHUNK, left);
      ByteBuf chunk = ctx.alloc().buffer(size);
      while (chunk.readableBytes() < size) {
        int part = Math.min(period.length - at, size - chunk.readableBytes());
        chunk.writeBytes(period, at, part);
        at = (at + part) % period.length;
      }
      left -= size;
      control.given.addAndGet(size);
      ctx.writeAndFlush(new DefaultHttpContent(chunk));
      if (left == 0) {
        ctx.writeAndFlush(LastHttpContent.EMPTY_LAST_CONTENT);
      }
    }
  }

  @Override
  public void channelWritabilityChanged(ChannelHandlerContext ctx) {
    if (mine) {
      give(ctx);
    }
    ctx.fireChannelWritabilityChanged();
  }
}
