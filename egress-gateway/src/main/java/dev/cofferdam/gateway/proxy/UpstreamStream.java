package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.event.Faults;
import dev.cofferdam.gateway.http.Http1ClientHandler;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.util.ReferenceCountUtil;
import org.jspecify.annotations.Nullable;

/** One exchange's part of an upstream connection: all of it in HTTP/1.1, a stream in HTTP/2. */
final class UpstreamStream extends ChannelInboundHandlerAdapter {
  /** Who is told what comes back, on the event loop. */
  interface Listener {
    /** A head, a body part to release, an end, or a {@code MalformedException}. */
    void answered(Object part);

    /** For now that was all. */
    void answeredSoFar();

    void upstreamWritable();

    /** Nothing more comes. Not told after the end of an answer. */
    void upstreamClosed();
  }

  final UpstreamConnection connection;
  final Channel channel;

  /** Whether the connection had served a request before, so that it may have died unnoticed. */
  final boolean reused;

  private final UpstreamPool pool;
  private @Nullable Listener listener;

  UpstreamStream(
      UpstreamPool pool, UpstreamConnection connection, Channel channel, boolean reused) {
    this.pool = pool;
    this.connection = connection;
    this.channel = channel;
    this.reused = reused;
  }

  /** Tells at once where the connection was lost before anybody listened. */
  void listen(Listener listener) {
    this.listener = listener;
    if (!channel.isActive()) {
      closed();
    }
  }

  private void closed() {
    Listener last = listener;
    listener = null;
    if (last != null) {
      last.upstreamClosed();
    }
  }

  /** The exchange is over; the connection may serve another. */
  void release() {
    listener = null;
    if (connection.http2) {
      channel.close();
      return;
    }
    Http1ClientHandler codec = channel.pipeline().get(Http1ClientHandler.class);
    channel.pipeline().remove(this);
    channel.config().setAutoRead(true);
    if (codec != null && codec.reusable() && channel.isActive()) {
      pool.giveBack(connection);
    } else {
      channel.close();
    }
  }

  /**
   * The exchange goes on in another protocol: in HTTP/1.1 on a connection that serves nothing else
   * any more, in HTTP/2 on its stream.
   */
  Channel leave() {
    listener = null;
    connection.retired |= !connection.http2;
    channel.pipeline().remove(this);
    return channel;
  }

  /** The exchange broke off. */
  void abort() {
    listener = null;
    channel.close();
  }

  @Override
  public void channelRead(ChannelHandlerContext ctx, Object message) {
    if (listener == null) {
      ReferenceCountUtil.release(message);
    } else {
      listener.answered(message);
    }
  }

  @Override
  public void channelReadComplete(ChannelHandlerContext ctx) {
    if (listener != null) {
      listener.answeredSoFar();
    }
    ctx.fireChannelReadComplete();
  }

  @Override
  public void channelWritabilityChanged(ChannelHandlerContext ctx) {
    if (listener != null && ctx.channel().isWritable()) {
      listener.upstreamWritable();
    }
    ctx.fireChannelWritabilityChanged();
  }

  @Override
  public void channelInactive(ChannelHandlerContext ctx) {
    closed();
    ctx.fireChannelInactive();
  }

  @Override
  public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
    Faults.close(ctx, cause);
  }
}
