package dev.cofferdam.node.cloudhypervisor;

import io.netty.bootstrap.Bootstrap;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelException;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.FixedRecvByteBufAllocator;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.nio.NioChannelOption;
import io.netty.channel.socket.nio.NioDomainSocketChannel;
import io.netty.handler.codec.TooLongFrameException;
import io.netty.handler.codec.http.DefaultFullHttpRequest;
import io.netty.handler.codec.http.FullHttpResponse;
import io.netty.handler.codec.http.HttpClientCodec;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaderValues;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.HttpObjectAggregator;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.util.ReferenceCountUtil;
import io.netty.util.concurrent.DefaultThreadFactory;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.UserPrincipal;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import jdk.net.ExtendedSocketOptions;

/**
 * HTTP/1.1 over Unix sockets, a connection for each exchange, all on one event loop thread. Safe
 * for use by several threads.
 *
 * <p>The other side is trusted with nothing: a VMM that was taken over may send what it likes.
 * Answers are bounded, and the socket's peer has to run as the owner of the directory that it lies
 * in, lest a link put there leads elsewhere.
 */
final class UnixHttp implements AutoCloseable {
  /** Bytes of an answer's body. The largest, vm.info, has about 2,000. */
  static final int MAX_ANSWER = 256 << 10;

  private static final int MAX_LINE = 4096;
  private static final int MAX_HEADERS = 8192;

  /**
   * Bytes of an answer as it comes, which Cloud Hypervisor never does in chunks. Chunks of a byte
   * cost more than they hold, and empty lines count for nothing in HTTP.
   */
  static final int MAX_WIRE = MAX_LINE + MAX_HEADERS + MAX_ANSWER;

  /** Bytes that are read before the next connection has its turn. */
  private static final int TURN = 16 << 10;

  private final EventLoopGroup loop =
      new MultiThreadIoEventLoopGroup(
          1, new DefaultThreadFactory("vmm-api", true), NioIoHandler.newFactory());

  /** An answer, whatever its status. The body is bytes that are parsed and no more. */
  @SuppressWarnings("ArrayRecordComponent")
  record Answer(int status, byte[] body) {}

  /**
   * Asks once.
   *
   * @param body empty for none
   * @throws ConnectException when nobody listens: nothing was asked
   * @throws TimeoutException when there is no answer in time: whether it was done is not known
   * @throws IOException when the connection breaks: whether it was done is not known
   */
  Answer exchange(Path socket, HttpMethod method, String target, byte[] body, Duration patience)
      throws IOException, TimeoutException {
    CompletableFuture<Answer> answer = new CompletableFuture<>();
    long end = System.nanoTime() + patience.toNanos();
    Channel channel =
        connect(
            socket,
            patience,
            new ChannelInitializer<>() {
              @Override
              protected void initChannel(Channel fresh) {
                fresh
                    .pipeline()
                    .addLast(new Meter())
                    .addLast(new HttpClientCodec(MAX_LINE, MAX_HEADERS, MAX_LINE))
                    .addLast(new HttpObjectAggregator(MAX_ANSWER))
                    .addLast(new Reader(answer));
              }
            });
    try {
      var request =
          new DefaultFullHttpRequest(
              HttpVersion.HTTP_1_1, method, target, Unpooled.wrappedBuffer(body));
      request.headers().set(HttpHeaderNames.HOST, "localhost");
      request.headers().set(HttpHeaderNames.ACCEPT, HttpHeaderValues.APPLICATION_JSON);
      if (body.length > 0) {
        request.headers().set(HttpHeaderNames.CONTENT_TYPE, HttpHeaderValues.APPLICATION_JSON);
        request.headers().set(HttpHeaderNames.CONTENT_LENGTH, body.length);
      }
      var _ =
          channel
              .writeAndFlush(request)
              .addListener(sent -> {
                if (!sent.isSuccess()) {
                  answer.completeExceptionally(sent.cause());
                }
              });
      return await(answer, Duration.ofNanos(end - System.nanoTime()));
    } finally {
      var _ = channel.close();
    }
  }

  /**
   * Connects and says nothing. Nor does the other side: at the first word it is closed, lest
   * somebody who talks without end is listened to without end.
   *
   * @return completes when the connection is closed, as by a process that ends
   */
  Connection watch(Path socket, Duration patience) throws IOException, TimeoutException {
    Channel channel = connect(socket, patience, new Silence());
    CompletableFuture<Void> closed = new CompletableFuture<>();
    var _ = channel.closeFuture().addListener(_ -> closed.complete(null));
    return new Connection(channel, closed);
  }

  /** An idle connection. */
  record Connection(Channel channel, CompletionStage<Void> closed) implements AutoCloseable {
    @Override
    public void close() {
      var _ = channel.close();
    }
  }

  @Override
  public void close() {
    var _ = loop.shutdownGracefully(0, 2, TimeUnit.SECONDS);
  }

  private Channel connect(Path socket, Duration patience, io.netty.channel.ChannelHandler handler)
      throws IOException, TimeoutException {
    CompletableFuture<Channel> connected = new CompletableFuture<>();
    var attempt =
        new Bootstrap()
            .group(loop)
            .channel(NioDomainSocketChannel.class)
            .option(
                ChannelOption.RECVBUF_ALLOCATOR,
                new FixedRecvByteBufAllocator(TURN).maxMessagesPerRead(1))
            .handler(handler)
            .connect(UnixDomainSocketAddress.of(socket));
    var _ =
        attempt.addListener(done -> {
          if (done.isSuccess()) {
            connected.complete(attempt.channel());
          } else {
            connected.completeExceptionally(new ConnectException(socket, done.cause()));
          }
        });
    Channel channel;
    try {
      channel = await(connected, patience);
    } catch (IOException | TimeoutException | RuntimeException e) {
      var _ = attempt.channel().close();
      throw e;
    }
    try {
      check(channel, socket);
      return channel;
    } catch (IOException | RuntimeException e) {
      var _ = channel.close();
      throw e;
    }
  }

  private static void check(Channel channel, Path socket) throws IOException {
    UserPrincipal peer;
    try {
      peer =
          channel.config().getOption(NioChannelOption.of(ExtendedSocketOptions.SO_PEERCRED)).user();
    } catch (ChannelException e) {
      throw new IOException("the connection was closed at once", e);
    }
    Path directory = socket.toAbsolutePath().getParent();
    UserPrincipal owner =
        Files.getOwner(directory == null ? socket : directory, LinkOption.NOFOLLOW_LINKS);
    if (!peer.equals(owner)) {
      throw new ApiException(
          "%s is served by %s, expected %s".formatted(socket, peer.getName(), owner.getName()));
    }
  }

  private static <T> T await(CompletableFuture<T> future, Duration patience)
      throws IOException, TimeoutException {
    try {
      return future.get(Math.max(patience.toNanos(), 1), TimeUnit.NANOSECONDS);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof ConnectException unreached) {
        throw unreached;
      }
      Throwable cause = e.getCause() == null ? e : e.getCause();
      throw new IOException(String.valueOf(cause.getMessage()), cause);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
  }

  /** Nobody listens on the socket. */
  static final class ConnectException extends IOException {
    private static final long serialVersionUID = 1L;

    ConnectException(Path socket, Throwable cause) {
      super("nobody listens on " + socket.getFileName(), cause);
    }
  }

  private static final class Silence extends ChannelInboundHandlerAdapter {
    @Override
    public void channelRead(ChannelHandlerContext context, Object message) {
      ReferenceCountUtil.release(message);
      var _ = context.close();
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
      var _ = context.close();
    }
  }

  private static final class Meter extends ChannelInboundHandlerAdapter {
    private long bytes;

    @Override
    public void channelRead(ChannelHandlerContext context, Object message) {
      if (message instanceof ByteBuf buffer) {
        bytes += buffer.readableBytes();
      }
      if (bytes > MAX_WIRE) {
        ReferenceCountUtil.release(message);
        throw new TooLongFrameException("more than " + MAX_WIRE);
      }
      context.fireChannelRead(message);
    }
  }

  private static final class Reader extends SimpleChannelInboundHandler<FullHttpResponse> {
    private final CompletableFuture<Answer> answer;

    Reader(CompletableFuture<Answer> answer) {
      this.answer = answer;
    }

    @Override
    protected void channelRead0(ChannelHandlerContext context, FullHttpResponse response) {
      if (response.decoderResult().isFailure()) {
        answer.completeExceptionally(
            new IOException("the answer is no HTTP", response.decoderResult().cause()));
      } else {
        answer.complete(
            new Answer(response.status().code(), ByteBufUtil.getBytes(response.content())));
      }
    }

    @Override
    public void channelInactive(ChannelHandlerContext context) {
      answer.completeExceptionally(new IOException("the connection was closed before the answer"));
    }

    /** What Netty says of an answer that is too large holds the answer's own headers. */
    @Override
    public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
      answer.completeExceptionally(
          cause instanceof TooLongFrameException
              ? new IOException("the answer has more than " + MAX_ANSWER + " bytes", cause)
              : cause);
      var _ = context.close();
    }
  }
}
