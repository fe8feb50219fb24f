package dev.cofferdam.edge;

import static org.assertj.core.api.Assertions.assertThat;

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
import io.netty.handler.codec.http2.Http2DataFrame;
import io.netty.handler.codec.http2.Http2Error;
import io.netty.handler.codec.http2.Http2FrameCodecBuilder;
import io.netty.handler.codec.http2.Http2Headers;
import io.netty.handler.codec.http2.Http2HeadersFrame;
import io.netty.handler.codec.http2.Http2MultiplexHandler;
import io.netty.handler.codec.http2.Http2StreamChannel;
import io.netty.handler.codec.http2.Http2StreamChannelBootstrap;
import io.netty.util.ReferenceCountUtil;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.Base64;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** URLs of ports over HTTP/2, by a client that sends frames as the test says. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
final class PortUrlsHttp2Test {
  private static final String SANDBOX = "sb-abcdefghij234567abcd";
  private static final long PATIENCE_SECONDS = 60;

  private final FakeMesh mesh = new FakeMesh();
  private final EventLoopGroup group =
      new MultiThreadIoEventLoopGroup(1, EpollIoHandler.newFactory());
  private final EdgeApp app;

  PortUrlsHttp2Test() throws Exception {
    app = TestEdge.start(mesh, Map.of());
  }

  @AfterAll
  void close() {
    group.shutdownGracefully(0, 1, TimeUnit.SECONDS).syncUninterruptibly();
    app.close();
    mesh.close();
  }

  private Channel connect() throws InterruptedException {
    return new Bootstrap()
        .group(group)
        .channel(EpollSocketChannel.class)
        .handler(
            new ChannelInitializer<>() {
              @Override
              protected void initChannel(Channel channel) {
                channel
                    .pipeline()
                    .addLast(
                        Http2FrameCodecBuilder.forClient().validateHeaders(false).build(),
                        new Http2MultiplexHandler(new ChannelInboundHandlerAdapter()));
              }
            })
        .connect(new InetSocketAddress("127.0.0.1", app.portsPort()))
        .sync()
        .channel();
  }

  /** What came of a stream, one after the other: a status, data, {@code end}. */
  private record Stream(Http2StreamChannel channel, BlockingQueue<String> events) {
    String next() throws InterruptedException {
      String event = events.poll(PATIENCE_SECONDS, TimeUnit.SECONDS);
      if (event == null) {
        throw new AssertionError("nothing of the stream within 60 s");
      }
      return event;
    }
  }

  private static Stream open(Channel connection) throws Exception {
    BlockingQueue<String> events = new LinkedBlockingQueue<>();
    Http2StreamChannel stream =
        new Http2StreamChannelBootstrap(connection)
            .handler(
                new ChannelInboundHandlerAdapter() {
                  @Override
                  public void channelRead(ChannelHandlerContext context, Object message) {
                    if (message instanceof Http2HeadersFrame frame) {
                      events.add(String.valueOf(frame.headers().status()));
                    } else if (message instanceof Http2DataFrame frame) {
                      String data = frame.content().toString(StandardCharsets.US_ASCII);
                      if (!data.isEmpty()) {
                        events.add(data);
                      }
                    }
                    ReferenceCountUtil.release(message);
                  }

                  @Override
                  public void channelInactive(ChannelHandlerContext context) {
                    events.add("end");
                  }
                })
            .open()
            .get(PATIENCE_SECONDS, TimeUnit.SECONDS);
    return new Stream(stream, events);
  }

  private static Http2Headers head(GuestServer guest) {
    return new DefaultHttp2Headers(false)
        .method("GET")
        .scheme("http")
        .authority(guest.port() + "-" + SANDBOX + ".localhost")
        .path("/")
        .add("authorization", "Bearer " + FakeMesh.TOKEN);
  }

  @ParameterizedTest
  @CsvSource({
    "host, evil.example, 400",
    ":authority, evil.example, 421",
    ":authority, user@8080-sb-abcdefghij234567abcd.localhost, 400",
    ":path, x, 400",
    ":path, '/a b', 400",
    ":path, '/a\r\nX: y', 400",
    ":path, http://evil.example/, 400",
    ":method, CONNECT, 405",
    ":method, 'GET / HTTP/1.1\r\nX: y', 400",
    "content-length, x, 400",
    "x, 'a\r\nTransfer-Encoding: chunked', 400",
    "'x: y\r\nz', a, 400",
  })
  void whatHttp1WouldReadInAnotherWayIsRefused(String name, String value, String status)
      throws Exception {
    try (GuestServer guest = GuestServer.saying("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) {
      Channel connection = connect();
      Stream stream = open(connection);
      Http2Headers head = head(guest);
      head.set(name, value);
      stream.channel().writeAndFlush(new DefaultHttp2HeadersFrame(head, true));
      // What Netty itself takes for malformed has no answer but the end of its stream.
      assertThat(stream.next()).isIn(status, "end");
      assertThat(guest.heads).isEmpty();
      connection.close().sync();
    }
  }

  @Test
  void aWebSocketIsMadeByConnect() throws Exception {
    try (GuestServer guest =
        new GuestServer(connection -> {
          String key = connection.head().split("(?i)sec-websocket-key: ", 2)[1].split("\r\n", 2)[0];
          connection.say(
              "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  + "Sec-WebSocket-Accept: "
                  + accept(key)
                  + "\r\n\r\nfirst");
          connection.say(connection.read(5).toUpperCase(Locale.ROOT));
        })) {
      Channel connection = connect();
      Stream stream = open(connection);
      Http2Headers head =
          head(guest)
              .method("CONNECT")
              .set(":protocol", "websocket")
              .set("sec-websocket-version", "13");
      stream.channel().writeAndFlush(new DefaultHttp2HeadersFrame(head, false));
      assertThat(stream.next()).isEqualTo("200");
      assertThat(stream.next()).isEqualTo("first");
      stream
          .channel()
          .writeAndFlush(
              new DefaultHttp2DataFrame(
                  Unpooled.copiedBuffer("hello", StandardCharsets.US_ASCII), false));
      assertThat(stream.next()).isEqualTo("HELLO");
      assertThat(stream.next()).isEqualTo("end");
      assertThat(guest.nextHead()).startsWith("GET / HTTP/1.1\r\n").doesNotContain(":protocol");
      connection.close().sync();
    }
  }

  private static String accept(String key) {
    try {
      byte[] text =
          (key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").getBytes(StandardCharsets.US_ASCII);
      return Base64.getEncoder().encodeToString(MessageDigest.getInstance("SHA-1").digest(text));
    } catch (java.security.NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  @Test
  void aFloodOfResetsEndsItsConnectionAlone() throws Exception {
    try (GuestServer guest = GuestServer.saying("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")) {
      Channel flooding = connect();
      Channel other = connect();
      Http2Headers head = head(guest);
      head.remove("authorization");
      for (int i = 0; i < 1000 && flooding.isActive(); i++) {
        Stream stream;
        try {
          stream = open(flooding);
        } catch (java.util.concurrent.ExecutionException e) {
          // The connection has been ended.
          break;
        }
        stream.channel().write(new DefaultHttp2HeadersFrame(head, true));
        stream.channel().writeAndFlush(new DefaultHttp2ResetFrame(Http2Error.CANCEL)).await();
      }
      assertThat(flooding.closeFuture().await(PATIENCE_SECONDS, TimeUnit.SECONDS)).isTrue();
      Stream stream = open(other);
      stream.channel().writeAndFlush(new DefaultHttp2HeadersFrame(head(guest), true));
      assertThat(stream.next()).isEqualTo("200");
      assertThat(stream.next()).isEqualTo("ok");
      other.close().sync();
    }
  }
}
