package dev.cofferdam.edge.port;

import dev.cofferdam.edge.protocol.HttpError;
import dev.cofferdam.kit.http.End;
import dev.cofferdam.kit.http.Http2ServerStreamHandler;
import dev.cofferdam.kit.http.MalformedException;
import dev.cofferdam.kit.http.RequestHead;
import dev.cofferdam.kit.http.ResponseHead;
import io.netty.buffer.ByteBuf;
import io.netty.channel.ChannelDuplexHandler;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelPromise;
import io.netty.util.ReferenceCountUtil;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/** The last handler of a connection, or of one of its streams: hands requests to the relay. */
final class ExchangeHandler extends ChannelDuplexHandler {
  private final PortRelay relay;
  private final Duration stall;
  private final String from;
  private final String scheme;
  private @Nullable Client client;
  private boolean answered;
  private boolean refused;

  /**
   * @param from the client's address
   */
  ExchangeHandler(PortRelay relay, Duration stall, String from, String scheme) {
    this.relay = relay;
    this.stall = stall;
    this.from = from;
    this.scheme = scheme;
  }

  @Override
  public void channelRead(ChannelHandlerContext ctx, Object message) {
    Client current = client;
    switch (message) {
      case RequestHead head -> {
        answered = false;
        Client next = new Client(ctx.channel(), stall);
        client = next;
        relay.begin(head, next, from, scheme, ctx.channel().eventLoop());
      }
      case ByteBuf data when current != null -> current.received(data);
      case End _ when current != null -> current.ended();
      case MalformedException e -> refuse(ctx, Refusal.of(e));
      case HttpError e -> refuse(ctx, e);
      default -> ReferenceCountUtil.release(message);
    }
  }

  private void refuse(ChannelHandlerContext ctx, HttpError error) {
    refused = true;
    Client current = client;
    if (current != null) {
      current.gone();
    }
    if (answered) {
      ctx.close();
      return;
    }
    for (Object part : Refusal.parts(error)) {
      ChannelFuture written = ctx.writeAndFlush(part);
      if (part instanceof End && ctx.pipeline().get(Http2ServerStreamHandler.class) != null) {
        written.addListener(ChannelFutureListener.CLOSE);
      }
    }
  }

  @Override
  public void write(ChannelHandlerContext ctx, Object message, ChannelPromise promise) {
    if (refused) {
      // The exchange has not heard of it yet.
      ReferenceCountUtil.release(message);
      promise.tryFailure(new IllegalStateException("the request was refused"));
      return;
    }
    if (message instanceof ResponseHead head && !head.informational()) {
      answered = true;
    } else if (message instanceof End) {
      // What comes next belongs to no answer.
      answered = false;
    }
    ctx.write(message, promise);
  }

  @Override
  public void channelInactive(ChannelHandlerContext ctx) {
    Client current = client;
    if (current != null) {
      current.gone();
    }
    ctx.fireChannelInactive();
  }

  @Override
  public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
    ctx.close();
  }
}
