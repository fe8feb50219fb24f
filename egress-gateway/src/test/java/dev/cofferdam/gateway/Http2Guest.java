package dev.cofferdam.gateway;

import io.netty.bootstrap.Bootstrap;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.epoll.EpollIoHandler;
import io.netty.channel.epoll.EpollSocketChannel;
import io.netty.handler.codec.http2.DefaultHttp2DataFrame;
import io.netty.handler.codec.http2.DefaultHttp2Headers;
import io.netty.handler.codec.http2.DefaultHttp2HeadersFrame;
import io.netty.handler.codec.http2.DefaultHttp2ResetFrame;
import io.netty.handler.codec.http2.DefaultHttp2WindowUpdateFrame;
import io.netty.handler.codec.http2.Http2Connection;
import io.netty.handler.codec.http2.Http2DataFrame;
import io.netty.handler.codec.http2.Http2Error;
import io.netty.handler.codec.http2.Http2FrameCodec;
import io.netty.handler.codec.http2.Http2FrameCodecBuilder;
import io.netty.handler.codec.http2.Http2Headers;
import io.netty.handler.codec.http2.Http2HeadersFrame;
import io.netty.handler.codec.http2.Http2MultiplexHandler;
import io.netty.handler.codec.http2.Http2Settings;
import io.netty.handler.codec.http2.Http2SettingsFrame;
import io.netty.handler.codec.http2.Http2StreamChannel;
import io.netty.handler.codec.http2.Http2StreamChannelBootstrap;
import io.netty.handler.ssl.ApplicationProtocolConfig;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.handler.ssl.SslHandler;
import io.netty.util.ReferenceCountUtil;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** An HTTP/2 client that sends what no honest one would. */
final class Http2Guest implements AutoCloseable {
  private final EventLoopGroup group =
      new MultiThreadIoEventLoopGroup(1, EpollIoHandler.newFactory());
  private final Channel channel;

  /** What the gateway said of itself. */
  final CompletableFuture<Http2Settings> settings = new CompletableFuture<>();

  Http2Guest(Harness harness, String serverName) throws Exception {
    this(harness, serverName, harness.port);
  }

  /**
   * @param port that the gateway listens at
   */
  Http2Guest(Harness harness, String serverName, int port) throws Exception {
    var tls =
        SslContextBuilder.forClient()
            .trustManager(harness.lineage.root)
            .applicationProtocolConfig(
                new ApplicationProtocolConfig(
                    ApplicationProtocolConfig.Protocol.ALPN,
                    ApplicationProtocolConfig.SelectorFailureBehavior.NO_ADVERTISE,
                    ApplicationProtocolConfig.SelectedListenerFailureBehavior.ACCEPT,
                    "h2"))
            .build();
    channel =
        new Bootstrap()
            .group(group)
            .channel(EpollSocketChannel.class)
            .handler(
                new ChannelInitializer<>() {
                  @Override
                  protected void initChannel(Channel ch) {
                    SslHandler handler = tls.newHandler(ch.alloc(), serverName, 443);
                    ch.pipeline()
                        .addLast(
                            handler,
                            Http2FrameCodecBuilder.forClient().validateHeaders(false).build(),
                            new Http2MultiplexHandler(new ChannelInboundHandlerAdapter()),
                            new ChannelInboundHandlerAdapter() {
                              @Override
                              public void channelRead(ChannelHandlerContext ctx, Object message) {
                                if (message instanceof Http2SettingsFrame frame) {
                                  settings.complete(frame.settings());
                                }
                                ReferenceCountUtil.release(message);
                              }
                            });
                  }
                })
            .connect(
                new InetSocketAddress("127.0.0.1", port), new InetSocketAddress(Harness.SLOT, 0))
            .sync()
            .channel();
    channel.pipeline().get(SslHandler.class).handshakeFuture().sync();
  }

  private Http2StreamChannel open(CompletableFuture<String> status) throws Exception {
    return new Http2StreamChannelBootstrap(channel)
        .handler(
            new ChannelInboundHandlerAdapter() {
              @Override
              public void channelRead(ChannelHandlerContext ctx, Object message) {
                if (message instanceof Http2HeadersFrame frame) {
                  status.complete(String.valueOf(frame.headers().status()));
                }
                ReferenceCountUtil.release(message);
              }

              @Override
              public void channelInactive(ChannelHandlerContext ctx) {
                status.complete("closed");
              }
            })
        .open()
        .get(20, TimeUnit.SECONDS);
  }

  private static Http2Headers headers(String authority, String path, Map<String, String> more) {
    Http2Headers headers =
        new DefaultHttp2Headers(false)
            .method("GET")
            .scheme("https")
            .authority(authority)
            .path(path);
    more.forEach(headers::add);
    return headers;
  }

  /** An extended CONNECT (RFC 8441) at its stream, however it is answered. */
  Http2Socket socket(Map<String, String> more) throws Exception {
    return socket(more, false);
  }

  /**
   * @param more a name beginning with a colon is put in its place
   * @param end whether the stream ends with the head
   */
  Http2Socket socket(Map<String, String> more, boolean end) throws Exception {
    Http2Headers headers =
        headers("api.example.test", "/socket", Map.of())
            .method("CONNECT")
            .set(":protocol", "websocket")
            .set("sec-websocket-version", "13");
    more.forEach((name, value) -> {
      if (value.isEmpty()) {
        headers.remove(name);
      } else {
        headers.set(name, value);
      }
    });
    Http2Socket socket = new Http2Socket();
    Http2StreamChannel stream =
        new Http2StreamChannelBootstrap(channel).handler(socket).open().get(20, TimeUnit.SECONDS);
    stream.writeAndFlush(new DefaultHttp2HeadersFrame(headers, end)).get(20, TimeUnit.SECONDS);
    return socket;
  }

  /** The status of the answer. */
  String ask(String authority, String path, Map<String, String> more) throws Exception {
    CompletableFuture<String> status = new CompletableFuture<>();
    open(status)
        .writeAndFlush(new DefaultHttp2HeadersFrame(headers(authority, path, more), true))
        .get(20, TimeUnit.SECONDS);
    return status.get(20, TimeUnit.SECONDS);
  }

  /** What this side may send at present on all streams together, as the gateway said. */
  int window() throws Exception {
    Http2Connection connection = channel.pipeline().get(Http2FrameCodec.class).connection();
    return channel
        .eventLoop()
        .submit(
            () -> connection.remote().flowController().windowSize(connection.connectionStream()))
        .get(20, TimeUnit.SECONDS);
  }

  /** From now on it is streams alone that bound what the gateway may send. */
  void widen() throws Exception {
    channel.writeAndFlush(new DefaultHttp2WindowUpdateFrame(1 << 30)).get(20, TimeUnit.SECONDS);
  }

  /** Asks and takes of the answer no more than its head. */
  void takesNothing(String path) throws Exception {
    CompletableFuture<String> status = new CompletableFuture<>();
    Http2StreamChannel stream = open(status);
    stream.config().setAutoRead(false);
    stream
        .writeAndFlush(
            new DefaultHttp2HeadersFrame(headers("api.example.test", path, Map.of()), true))
        .get(20, TimeUnit.SECONDS);
    stream.read();
    if (!status.get(20, TimeUnit.SECONDS).equals("200")) {
      throw new AssertionError(status.get());
    }
  }

  /** Sends a request with a body, as far as it is taken, and waits for nothing. */
  void sends(String path, byte[] body) throws Exception {
    Http2StreamChannel stream = open(new CompletableFuture<>());
    stream.write(
        new DefaultHttp2HeadersFrame(
            headers("api.example.test", path, Map.of()).method("POST"), false));
    stream.writeAndFlush(new DefaultHttp2DataFrame(Unpooled.wrappedBuffer(body), true));
  }

  /** The body of the answer, whatever its status. */
  String body(String authority, String path, Map<String, String> more) throws Exception {
    return body(headers(authority, path, more), new byte[0]);
  }

  /** The body of the answer to one. */
  String body(String path, byte[] sent) throws Exception {
    return body(headers("api.example.test", path, Map.of()).method("POST"), sent);
  }

  private String body(Http2Headers head, byte[] sent) throws Exception {
    CompletableFuture<String> whole = new CompletableFuture<>();
    StringBuilder body = new StringBuilder();
    Http2StreamChannel stream =
        new Http2StreamChannelBootstrap(channel)
            .handler(
                new ChannelInboundHandlerAdapter() {
                  @Override
                  public void channelRead(ChannelHandlerContext ctx, Object message) {
                    if (message instanceof Http2DataFrame frame) {
                      body.append(frame.content().toString(StandardCharsets.ISO_8859_1));
                    }
                    if ((message instanceof Http2DataFrame frame && frame.isEndStream())
                        || (message instanceof Http2HeadersFrame head && head.isEndStream())) {
                      whole.complete(body.toString());
                    }
                    ReferenceCountUtil.release(message);
                  }

                  @Override
                  public void channelInactive(ChannelHandlerContext ctx) {
                    whole.completeExceptionally(new IOException("the stream was broken off"));
                  }
                })
            .open()
            .get(20, TimeUnit.SECONDS);
    stream.write(new DefaultHttp2HeadersFrame(head, sent.length == 0));
    if (sent.length > 0) {
      stream.write(new DefaultHttp2DataFrame(Unpooled.wrappedBuffer(sent), true));
    }
    stream.flush();
    return whole.get(20, TimeUnit.SECONDS);
  }

  void resetRapidly(int times) throws Exception {
    for (int i = 0; i < times && channel.isActive(); i++) {
      try {
        Http2StreamChannel stream = open(new CompletableFuture<>());
        stream.write(
            new DefaultHttp2HeadersFrame(headers("api.example.test", "/", Map.of()), false));
        stream.writeAndFlush(new DefaultHttp2ResetFrame(Http2Error.CANCEL));
      } catch (java.util.concurrent.ExecutionException e) {
        // The connection is going away, as it should.
        return;
      }
    }
  }

  boolean awaitClosed() throws InterruptedException {
    return channel.closeFuture().await(20, TimeUnit.SECONDS);
  }

  @Override
  public void close() {
    channel.close().syncUninterruptibly();
    group.shutdownGracefully(0, 1, TimeUnit.SECONDS).syncUninterruptibly();
  }
}
