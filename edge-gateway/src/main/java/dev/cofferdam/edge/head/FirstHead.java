package dev.cofferdam.edge.head;

import dev.cofferdam.edge.secret.HeldValue;
import io.netty.buffer.ByteBuf;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.util.ReferenceCountUtil;
import io.netty.util.concurrent.ScheduledFuture;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Keeps the head of a connection's first request back until it is whole, and hands it on with a
 * ticket in the place of each {@code x-deno-sandbox-config}, which may hold secrets' values. Every
 * HTTP server would make a {@code String} of it.
 *
 * <p>Both SDKs send that header in the first request of a connection of its own. In a later one it
 * is no ticket and its request is refused. A head that is not whole in time, or is too long, ends
 * the connection, and so does HTTP/2, whose heads are packed.
 *
 * <p>Needs an allocator that zeroes what is given back.
 */
public final class FirstHead extends ChannelInboundHandlerAdapter {
  public static final String CONFIG = "x-deno-sandbox-config";

  /** A head up to so much is let through beside any number of others. */
  private static final int SMALL = 16 << 10;

  private static final byte[] END = {'\r', '\n', '\r', '\n'};
  private static final byte[] HTTP_2 = "PRI * ".getBytes(StandardCharsets.US_ASCII);

  private final CarriedHeads carried;
  private final int maxHead;
  private final Duration patience;
  private final Semaphore large;
  private final List<String> tickets = new ArrayList<>();
  private @Nullable ByteBuf head;
  private @Nullable ScheduledFuture<?> deadline;
  private boolean permit;
  private boolean done;

  /**
   * @param maxHead bytes of a head
   * @param patience from the connection's begin to its head's end
   * @param large how many heads of over 16 KiB there may be at a time, over all connections
   */
  public FirstHead(CarriedHeads carried, int maxHead, Duration patience, Semaphore large) {
    this.carried = carried;
    this.maxHead = maxHead;
    this.patience = patience;
    this.large = large;
  }

  @Override
  public void handlerAdded(ChannelHandlerContext context) {
    deadline =
        context
            .executor()
            .schedule(
                () -> {
                  if (!done) {
                    context.close();
                  }
                },
                patience.toMillis(),
                TimeUnit.MILLISECONDS);
  }

  @Override
  public void channelRead(ChannelHandlerContext context, Object message) {
    if (done || !(message instanceof ByteBuf more)) {
      context.fireChannelRead(message);
      return;
    }
    ByteBuf whole;
    try {
      ByteBuf soFar = head;
      if (soFar == null) {
        soFar = context.alloc().directBuffer(Math.max(4096, more.readableBytes()));
        head = soFar;
      }
      int searched = Math.max(0, soFar.writerIndex() - END.length + 1);
      soFar.writeBytes(more);
      if (startsWith(soFar, HTTP_2)) {
        refuse(
            context, "505 HTTP Version Not Supported", "HTTP_2", "HTTP/1.1 alone is spoken here");
        return;
      }
      int end = find(soFar, searched);
      if (end < 0) {
        grow(context, soFar);
        return;
      }
      if (end > maxHead) {
        tooLong(context);
        return;
      }
      whole = rewritten(context, soFar, end);
    } finally {
      ReferenceCountUtil.release(more);
    }
    finish();
    context.fireChannelRead(whole);
  }

  private void grow(ChannelHandlerContext context, ByteBuf soFar) {
    if (soFar.readableBytes() > maxHead) {
      tooLong(context);
    } else if (soFar.readableBytes() > SMALL && !permit) {
      permit = large.tryAcquire();
      if (!permit) {
        refuse(
            context,
            "503 Service Unavailable",
            "TOO_MANY_LARGE_CONFIGURATIONS",
            "other configurations of this size are on their way, try again");
      }
    }
  }

  private void tooLong(ChannelHandlerContext context) {
    refuse(
        context,
        "431 Request Header Fields Too Large",
        "CONFIGURATION_TOO_LARGE",
        "the request's head has over " + maxHead + " bytes");
  }

  private void refuse(ChannelHandlerContext context, String status, String code, String message) {
    finish();
    String body = "{\"code\":\"%s\",\"message\":\"%s\"}".formatted(code, message);
    String answer =
        "HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s"
            .formatted(status, body.length(), body);
    // Whatever comes after it is of no interest.
    context.channel().config().setAutoRead(false);
    context
        .writeAndFlush(
            context.alloc().buffer().writeBytes(answer.getBytes(StandardCharsets.US_ASCII)))
        .addListener(ChannelFutureListener.CLOSE);
  }

  private void finish() {
    done = true;
    if (deadline != null) {
      deadline.cancel(false);
    }
    if (head != null) {
      head.release();
      head = null;
    }
    if (permit) {
      permit = false;
      large.release();
    }
  }

  private static boolean startsWith(ByteBuf buffer, byte[] prefix) {
    if (buffer.readableBytes() < prefix.length) {
      return false;
    }
    for (int i = 0; i < prefix.length; i++) {
      if (buffer.getByte(i) != prefix[i]) {
        return false;
      }
    }
    return true;
  }

  /** Where the head ends, behind the empty line; -1 where it goes on. */
  private static int find(ByteBuf buffer, int from) {
    int last = buffer.writerIndex() - END.length;
    for (int i = from; i <= last; i++) {
      if (buffer.getByte(i) == '\r'
          && buffer.getByte(i + 1) == '\n'
          && buffer.getByte(i + 2) == '\r'
          && buffer.getByte(i + 3) == '\n') {
        return i + END.length;
      }
    }
    return -1;
  }

  private ByteBuf rewritten(ChannelHandlerContext context, ByteBuf from, int end) {
    ByteBuf out = context.alloc().directBuffer(from.readableBytes() + 256);
    int line = 0;
    while (line < end) {
      int next = line;
      // As lenient as any server behind it: a line ends at LF.
      while (next < end && from.getByte(next) != '\n') {
        next++;
      }
      next = Math.min(next + 1, end);
      int colon = configColon(from, line, next);
      if (colon < 0) {
        out.writeBytes(from, line, next - line);
      } else {
        String ticket = carried.keep(held(from, colon + 1, next));
        tickets.add(ticket);
        out.writeCharSequence(CONFIG + ": " + ticket + "\r\n", StandardCharsets.US_ASCII);
      }
      line = next;
    }
    return out.writeBytes(from, end, from.writerIndex() - end);
  }

  /** The place of the colon where the line is the header in question, else -1. */
  private static int configColon(ByteBuf from, int begin, int end) {
    int name = begin;
    while (name < end && blank(from.getByte(name))) {
      name++;
    }
    for (int i = 0; i < CONFIG.length(); i++, name++) {
      if (name >= end || Character.toLowerCase((char) from.getByte(name)) != CONFIG.charAt(i)) {
        return -1;
      }
    }
    while (name < end && blank(from.getByte(name))) {
      name++;
    }
    return name < end && from.getByte(name) == ':' ? name : -1;
  }

  private static HeldValue held(ByteBuf from, int begin, int end) {
    int first = begin;
    int last = end;
    while (first < last && blank(from.getByte(first))) {
      first++;
    }
    while (last > first && blank(from.getByte(last - 1))) {
      last--;
    }
    HeldValue value = new HeldValue(last - first);
    for (int i = first; i < last; i++) {
      value.append(from.getByte(i));
    }
    return value;
  }

  private static boolean blank(byte character) {
    return character == ' ' || character == '\t' || character == '\r' || character == '\n';
  }

  @Override
  public void channelInactive(ChannelHandlerContext context) {
    finish();
    tickets.forEach(carried::drop);
    context.fireChannelInactive();
  }
}
