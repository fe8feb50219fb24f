package dev.cofferdam.edge.port;

import dev.cofferdam.edge.protocol.HttpError;
import dev.cofferdam.kit.http.End;
import dev.cofferdam.kit.http.Http1ServerHandler;
import dev.cofferdam.kit.http.Http2ServerStreamHandler;
import dev.cofferdam.kit.http.ResponseHead;
import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelPromise;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.TimeUnit;

/**
 * Who is answered in one exchange, for threads that may wait: what it sends is taken from here, and
 * what is written waits until it was taken. Its connection (or its stream of one, in HTTP/2) is
 * read only as fast as that.
 */
final class Client {
  /** Received and not taken yet; beyond it nothing more is read. */
  private static final int AHEAD = 64 << 10;

  private static final long LINGER_SECONDS = 2;

  private final Channel channel;
  private final Duration stall;
  private final Queue<ByteBuf> parts = new ArrayDeque<>();
  private int waiting;
  private boolean held;
  private boolean ended;
  private boolean gone;
  private Runnable whenGone = () -> {};

  /**
   * @param stall how long it may leave unread what is written to it
   */
  Client(Channel channel, Duration stall) {
    this.channel = channel;
    this.stall = stall;
  }

  /** By the channel's own thread. */
  synchronized void received(ByteBuf part) {
    if (gone || !part.isReadable()) {
      part.release();
      return;
    }
    parts.add(part);
    waiting += part.readableBytes();
    if (waiting > AHEAD) {
      held = true;
      channel.config().setAutoRead(false);
    }
    notifyAll();
  }

  /** By the channel's own thread: it sends no more. */
  synchronized void ended() {
    ended = true;
    notifyAll();
  }

  /** By the channel's own thread: its connection is gone, or the exchange is over. */
  void gone() {
    Runnable told;
    synchronized (this) {
      if (gone) {
        return;
      }
      gone = true;
      told = whenGone;
      parts.forEach(ByteBuf::release);
      parts.clear();
      notifyAll();
    }
    told.run();
  }

  /** What is done once, when it is gone; at once where it is already. */
  void whenGone(Runnable told) {
    synchronized (this) {
      if (!gone) {
        whenGone = told;
        return;
      }
    }
    told.run();
  }

  /**
   * Waits for what it sends next. The caller releases it.
   *
   * @return empty at the end
   * @throws HttpError 408 where nothing comes in time
   */
  Optional<ByteBuf> take(Duration patience)
      throws InterruptedException, ClientGoneException, HttpError {
    long end = System.nanoTime() + patience.toNanos();
    synchronized (this) {
      while (parts.isEmpty() && !ended && !gone) {
        long left = TimeUnit.NANOSECONDS.toMillis(end - System.nanoTime());
        if (left <= 0) {
          throw new HttpError(408, "BODY_TIMEOUT", "nothing of the body came for " + patience);
        }
        wait(left);
      }
      if (gone) {
        throw new ClientGoneException("gone");
      }
      ByteBuf part = parts.poll();
      if (part == null) {
        return Optional.empty();
      }
      waiting -= part.readableBytes();
      if (held && waiting <= AHEAD / 2) {
        held = false;
        channel.config().setAutoRead(true);
      }
      return Optional.of(part);
    }
  }

  /** Waits until it was sent: a head, bytes, which are released, or an {@link End}. */
  void write(Object part) throws InterruptedException, ClientGoneException {
    await(channel.writeAndFlush(part));
  }

  private void await(ChannelFuture written) throws InterruptedException, ClientGoneException {
    if (!written.await(stall.toMillis())) {
      channel.close();
      throw new ClientGoneException("nothing was read for " + stall);
    }
    if (!written.isSuccess()) {
      throw new ClientGoneException("gone");
    }
  }

  /** Makes a WebSocket of it: from here on {@link #take} gives what is no HTTP any more. */
  void switchTo(ResponseHead answer) throws InterruptedException, ClientGoneException {
    ChannelPromise written = channel.newPromise();
    channel
        .eventLoop()
        .execute(() -> {
          synchronized (this) {
            ended = false;
          }
          channel.writeAndFlush(answer, written);
          if (channel.pipeline().get(Http1ServerHandler.class) != null) {
            channel.pipeline().remove(Http1ServerHandler.class);
            channel.config().setAutoRead(true);
          } else {
            channel.pipeline().fireUserEventTriggered(Http2ServerStreamHandler.Follow.FRAMES);
          }
        });
    await(written);
  }

  /** An answer of the edge's own. */
  void refuse(HttpError error) throws InterruptedException, ClientGoneException {
    for (Object part : Refusal.parts(error)) {
      write(part);
    }
  }

  /** Breaks it off, so that a part is not taken for the whole. */
  void breakOff() {
    channel.close();
  }

  /** The sandbox's end of a WebSocket. */
  void endSocket() throws InterruptedException, ClientGoneException {
    if (channel.pipeline().get(Http2ServerStreamHandler.class) != null) {
      write(End.plain());
    }
    channel.close();
  }

  /**
   * When it was answered: what it still sends is for nobody. A stream of HTTP/2 is not reset before
   * it had time to end: clients would take that for the answer.
   */
  void done() {
    channel
        .eventLoop()
        .execute(() -> {
          gone();
          if (channel.pipeline().get(Http2ServerStreamHandler.class) != null) {
            channel.config().setAutoRead(true);
            channel.eventLoop().schedule(() -> channel.close(), LINGER_SECONDS, TimeUnit.SECONDS);
          }
        });
  }
}
