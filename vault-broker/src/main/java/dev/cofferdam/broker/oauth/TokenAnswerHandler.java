package dev.cofferdam.broker.oauth;

import io.netty.buffer.ByteBuf;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.handler.codec.http.HttpContent;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpObject;
import io.netty.handler.codec.http.HttpResponse;
import io.netty.handler.codec.http.HttpStatusClass;
import io.netty.handler.codec.http.LastHttpContent;
import io.netty.util.ReferenceCountUtil;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/** The answer to the one request of a connection. */
final class TokenAnswerHandler extends ChannelInboundHandlerAdapter {
  /** Of an answer's body, in bytes. */
  static final int MAX_BODY = 64 << 10;

  private static final int MAX_INFORMATIONAL = 8;

  private final CompletableFuture<AccessToken> answer = new CompletableFuture<>();
  private @Nullable ByteBuf body;
  private int status;
  private int informational;

  /** The token is for whoever waits to close. */
  CompletableFuture<AccessToken> answer() {
    return answer;
  }

  @Override
  public void channelRead(ChannelHandlerContext ctx, Object message) {
    try {
      if (!answer.isDone()) {
        read(ctx, message);
      }
    } catch (TokenException e) {
      fail(ctx, e);
    } finally {
      ReferenceCountUtil.release(message);
    }
  }

  private void read(ChannelHandlerContext ctx, Object message) {
    if (!(message instanceof HttpObject part) || part.decoderResult().isFailure()) {
      throw TokenException.unavailable("the token endpoint's answer is no HTTP");
    }
    if (part instanceof HttpResponse head) {
      begin(head);
    }
    if (part instanceof HttpContent content) {
      if (informational(status)) {
        return;
      }
      ByteBuf kept = body(ctx);
      if (kept.readableBytes() + content.content().readableBytes() > MAX_BODY) {
        throw TokenException.unavailable(
            "the token endpoint's answer has more than %d bytes".formatted(MAX_BODY));
      }
      kept.writeBytes(content.content());
      if (part instanceof LastHttpContent) {
        AccessToken token = TokenAnswer.read(status, kept);
        if (!answer.complete(token)) {
          token.close();
        }
        var _ = ctx.close();
      }
    }
  }

  private void begin(HttpResponse head) {
    status = head.status().code();
    if (informational(status) && ++informational > MAX_INFORMATIONAL) {
      throw TokenException.unavailable("the token endpoint does not come to an answer");
    }
    if (head.status().codeClass() == HttpStatusClass.REDIRECTION) {
      throw TokenException.unavailable(
          "the token endpoint answered with status %d, and redirects are not followed"
              .formatted(status));
    }
    String coding = head.headers().get(HttpHeaderNames.CONTENT_ENCODING, "identity");
    if (!coding.equalsIgnoreCase("identity")) {
      throw TokenException.unavailable("the token endpoint's answer has a coding, expected none");
    }
  }

  private static boolean informational(int status) {
    return status < 200;
  }

  private ByteBuf body(ChannelHandlerContext ctx) {
    ByteBuf kept = body;
    if (kept == null) {
      kept = ctx.alloc().directBuffer(2048, MAX_BODY);
      body = kept;
    }
    return kept;
  }

  @Override
  public void channelInactive(ChannelHandlerContext ctx) {
    fail(ctx, TokenException.unavailable("the token endpoint ended before its answer did"));
  }

  @Override
  public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
    fail(ctx, TokenException.unavailable("the connection to the token endpoint broke"));
  }

  @Override
  public void handlerRemoved(ChannelHandlerContext ctx) {
    ByteBuf kept = body;
    if (kept != null) {
      body = null;
      kept.release();
    }
  }

  private void fail(ChannelHandlerContext ctx, TokenException why) {
    answer.completeExceptionally(why);
    var _ = ctx.close();
  }
}
