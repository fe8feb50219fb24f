package dev.cofferdam.gateway;

import io.netty.bootstrap.ServerBootstrap;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelDuplexHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelPromise;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.epoll.EpollIoHandler;
import io.netty.channel.epoll.EpollServerSocketChannel;
import io.netty.handler.codec.http.DefaultHttpContent;
import io.netty.handler.codec.http.DefaultHttpResponse;
import io.netty.handler.codec.http.DefaultLastHttpContent;
import io.netty.handler.codec.http.FullHttpRequest;
import io.netty.handler.codec.http.HttpObjectAggregator;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpServerCodec;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.codec.http.LastHttpContent;
import io.netty.handler.codec.http.websocketx.BinaryWebSocketFrame;
import io.netty.handler.codec.http.websocketx.ContinuationWebSocketFrame;
import io.netty.handler.codec.http.websocketx.PingWebSocketFrame;
import io.netty.handler.codec.http.websocketx.PongWebSocketFrame;
import io.netty.handler.codec.http.websocketx.TextWebSocketFrame;
import io.netty.handler.codec.http.websocketx.WebSocket13FrameDecoder;
import io.netty.handler.codec.http.websocketx.WebSocket13FrameEncoder;
import io.netty.handler.codec.http.websocketx.WebSocketFrame;
import io.netty.handler.codec.http.websocketx.WebSocketServerProtocolHandler;
import io.netty.handler.codec.http2.DefaultHttp2DataFrame;
import io.netty.handler.codec.http2.DefaultHttp2Headers;
import io.netty.handler.codec.http2.DefaultHttp2HeadersFrame;
import io.netty.handler.codec.http2.DefaultHttp2WindowUpdateFrame;
import io.netty.handler.codec.http2.Http2DataFrame;
import io.netty.handler.codec.http2.Http2FrameCodecBuilder;
import io.netty.handler.codec.http2.Http2HeadersFrame;
import io.netty.handler.codec.http2.Http2MultiplexHandler;
import io.netty.handler.codec.http2.Http2Settings;
import io.netty.handler.codec.http2.Http2StreamFrameToHttpObjectCodec;
import io.netty.handler.ssl.ApplicationProtocolConfig;
import io.netty.handler.ssl.ApplicationProtocolNames;
import io.netty.handler.ssl.ApplicationProtocolNegotiationHandler;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.util.ReferenceCountUtil;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.security.KeyPair;
import java.security.cert.X509Certificate;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.zip.GZIPOutputStream;

/** A TLS server that says back what it was told, in the form that the path asks for. */
final class TestUpstream implements AutoCloseable {
  /** What arrived. */
  record Received(String method, String uri, Map<String, String> headers, String body) {
    /** Empty where there is none. */
    String header(String name) {
      return headers.getOrDefault(name, "");
    }
  }

  final List<Received> received = new CopyOnWriteArrayList<>();

  /** Over WebSockets. */
  final List<String> heard = new CopyOnWriteArrayList<>();

  final AtomicInteger connections = new AtomicInteger();
  private final List<Channel> children = new CopyOnWriteArrayList<>();
  private final EventLoopGroup group =
      new MultiThreadIoEventLoopGroup(1, EpollIoHandler.newFactory());
  private final Channel channel;

  TestUpstream(InetSocketAddress address, KeyPair key, boolean http2, X509Certificate... chain)
      throws IOException {
    SslContext tls =
        SslContextBuilder.forServer(key.getPrivate(), chain)
            .applicationProtocolConfig(
                new ApplicationProtocolConfig(
                    ApplicationProtocolConfig.Protocol.ALPN,
                    ApplicationProtocolConfig.SelectorFailureBehavior.NO_ADVERTISE,
                    ApplicationProtocolConfig.SelectedListenerFailureBehavior.ACCEPT,
                    http2 ? List.of("h2", "http/1.1") : List.of("http/1.1")))
            .build();
    this.channel =
        new ServerBootstrap()
            .group(group)
            .channel(EpollServerSocketChannel.class)
            .childHandler(
                new ChannelInitializer<>() {
                  @Override
                  protected void initChannel(Channel child) {
                    connections.incrementAndGet();
                    children.add(child);
                    child.pipeline().addLast(tls.newHandler(child.alloc()), new Negotiation());
                  }
                })
            .bind(address)
            .syncUninterruptibly()
            .channel();
  }

  final LongBodies.Control longBodies = new LongBodies.Control();

  /** Whether each HTTP/2 connection from now on takes WebSockets as streams. */
  volatile boolean socketsOverHttp2;

  /** Of each HTTP/2 connection from now on. */
  volatile long streamsAtOnce = 100;

  int port() {
    return ((InetSocketAddress) channel.localAddress()).getPort();
  }

  /** Closes what it accepted so far. */
  void hangUp() {
    children.forEach(Channel::close);
    children.clear();
  }

  private final class Negotiation extends ApplicationProtocolNegotiationHandler {
    Negotiation() {
      super(ApplicationProtocolNames.HTTP_1_1);
    }

    @Override
    protected void configurePipeline(ChannelHandlerContext ctx, String protocol) {
      if (protocol.equals(ApplicationProtocolNames.HTTP_2)) {
        Channel connection = ctx.channel();
        ctx.pipeline()
            .addLast(
                Http2FrameCodecBuilder.forServer()
                    .initialSettings(
                        Http2Settings.defaultSettings()
                            .maxConcurrentStreams(streamsAtOnce)
                            .connectProtocolEnabled(socketsOverHttp2))
                    .build(),
                new Http2MultiplexHandler(
                    new ChannelInitializer<>() {
                      @Override
                      protected void initChannel(Channel stream) {
                        stream
                            .pipeline()
                            .addLast(
                                new SocketStream(),
                                new Http2StreamFrameToHttpObjectCodec(true),
                                new LongBodies(longBodies),
                                new Slow(),
                                new HttpObjectAggregator(8 << 20),
                                new Echo());
                      }
                    }));
        // What one stream is not taken of holds up no other: that is not what is looked at here.
        connection.writeAndFlush(new DefaultHttp2WindowUpdateFrame(64 << 20));
      } else {
        ctx.pipeline()
            .addLast(new HttpServerCodec(), new LongBodies(longBodies), new Slow())
            .addLast(new HttpObjectAggregator(8 << 20))
            .addLast(
                new WebSocketServerProtocolHandler("/socket", null, true, 8 << 20, false, true))
            .addLast(new Talk(""), new Echo());
      }
    }
  }

  /**
   * Has its own pace: {@code /drip} says a line every now and then, from the head of the request to
   * twenty lines after its end; {@code /stall} says one and no more; {@code /late} begins to read
   * the body late.
   */
  private static final class Slow extends ChannelInboundHandlerAdapter {
    private static final int LINES_AFTER_THE_END = 20;
    private boolean dripping;
    private boolean ended;
    private int linesAfter;

    @Override
    public void channelRead(ChannelHandlerContext ctx, Object message) {
      String uri = message instanceof HttpRequest request ? request.uri() : "";
      switch (uri) {
        case "/drip", "/stall" -> {
          dripping = true;
          DefaultHttpResponse head =
              new DefaultHttpResponse(HttpVersion.HTTP_1_1, HttpResponseStatus.OK);
          head.headers().set("transfer-encoding", "chunked");
          ctx.write(head);
          line(ctx, uri.equals("/drip"));
        }
        case "/late" -> {
          ctx.channel().config().setAutoRead(false);
          ctx.executor()
              .schedule(() -> ctx.channel().config().setAutoRead(true), 2, TimeUnit.SECONDS);
          ctx.fireChannelRead(message);
        }
        default -> {
          ended |= dripping && message instanceof LastHttpContent;
          if (dripping) {
            ReferenceCountUtil.release(message);
          } else {
            ctx.fireChannelRead(message);
          }
        }
      }
    }

    private void line(ChannelHandlerContext ctx, boolean another) {
      ctx.writeAndFlush(new DefaultHttpContent(Unpooled.copiedBuffer(bytes("line\n"))));
      if (ended && ++linesAfter == LINES_AFTER_THE_END) {
        ctx.writeAndFlush(new DefaultLastHttpContent());
      } else if (another) {
        ctx.executor().schedule(() -> line(ctx, true), 200, TimeUnit.MILLISECONDS);
      }
    }
  }

  /**
   * Over a WebSocket at {@code /socket} and below it: says what it heard, or what it was asked for.
   */
  private final class Talk extends SimpleChannelInboundHandler<WebSocketFrame> {
    private String credential;

    Talk(String credential) {
      this.credential = credential;
    }

    @Override
    public void userEventTriggered(ChannelHandlerContext ctx, Object event) {
      if (event instanceof WebSocketServerProtocolHandler.HandshakeComplete done) {
        credential = String.valueOf(done.requestHeaders().get("authorization"));
      }
      ctx.fireUserEventTriggered(event);
    }

    @Override
    protected void channelRead0(ChannelHandlerContext ctx, WebSocketFrame frame) {
      String content = frame.content().toString(StandardCharsets.ISO_8859_1);
      if (frame.isFinalFragment() || !content.isEmpty()) {
        heard.add(content);
      }
      switch (content) {
        case "credential" -> ctx.writeAndFlush(new TextWebSocketFrame("said: " + credential));
        case "base64" ->
            ctx.writeAndFlush(
                new TextWebSocketFrame(Base64.getEncoder().encodeToString(bytes(credential))));
        case "fragments" -> {
          int half = credential.length() / 2;
          ctx.write(new TextWebSocketFrame(false, 0, credential.substring(0, half)));
          ctx.writeAndFlush(new ContinuationWebSocketFrame(true, 0, credential.substring(half)));
        }
        default -> {
          if (frame instanceof PingWebSocketFrame) {
            ctx.writeAndFlush(new PongWebSocketFrame(frame.content().retain()));
          } else if (frame instanceof BinaryWebSocketFrame) {
            ctx.writeAndFlush(frame.retain());
          } else if (frame instanceof TextWebSocketFrame) {
            ctx.writeAndFlush(
                new TextWebSocketFrame(frame.isFinalFragment(), 0, "said: " + content));
          } else {
            ctx.writeAndFlush(frame.retain());
          }
        }
      }
    }
  }

  /**
   * A WebSocket as a stream of HTTP/2; other streams it lets be. {@code /no} is refused, {@code
   * /ends} ends with its head, and {@code /101} is answered as in HTTP/1.1.
   */
  private final class SocketStream extends ChannelDuplexHandler {
    private boolean open;

    @Override
    public void channelRead(ChannelHandlerContext ctx, Object message) {
      if (message instanceof Http2HeadersFrame frame && frame.headers().contains(":protocol")) {
        Map<String, String> headers = new java.util.TreeMap<>(String.CASE_INSENSITIVE_ORDER);
        frame.headers().forEach(e -> headers.put(e.getKey().toString(), e.getValue().toString()));
        String path = String.valueOf(frame.headers().path());
        received.add(new Received(String.valueOf(frame.headers().method()), path, headers, ""));
        while (ctx.pipeline().last() != this) {
          ctx.pipeline().removeLast();
        }
        String status = path.equals("/no") ? "403" : path.equals("/101") ? "101" : "200";
        open = true;
        ctx.pipeline()
            .addLast(
                new WebSocket13FrameEncoder(false),
                new WebSocket13FrameDecoder(true, false, 8 << 20),
                new Talk(headers.getOrDefault("authorization", "")));
        boolean ends = path.equals("/no") || path.equals("/ends");
        ctx.writeAndFlush(
            new DefaultHttp2HeadersFrame(new DefaultHttp2Headers().status(status), ends));
      } else if (open && message instanceof Http2DataFrame frame) {
        boolean ends = frame.isEndStream();
        ctx.fireChannelRead(frame.content());
        if (ends) {
          ctx.close();
        }
      } else {
        ctx.fireChannelRead(message);
      }
    }

    @Override
    public void write(ChannelHandlerContext ctx, Object message, ChannelPromise promise) {
      ctx.write(
          message instanceof ByteBuf data ? new DefaultHttp2DataFrame(data) : message, promise);
    }
  }

  private final class Echo extends SimpleChannelInboundHandler<FullHttpRequest> {
    @Override
    protected void channelRead0(ChannelHandlerContext ctx, FullHttpRequest request) {
      Map<String, String> headers = new java.util.TreeMap<>(String.CASE_INSENSITIVE_ORDER);
      request.headers().forEach(e -> headers.put(e.getKey(), e.getValue()));
      Received one =
          new Received(
              request.method().name(),
              request.uri(),
              headers,
              request.content().toString(StandardCharsets.ISO_8859_1));
      received.add(one);
      String credential = headers.getOrDefault("authorization", "");
      String path = request.uri().replaceFirst("\\?.*", "");
      DefaultHttpResponse head =
          new DefaultHttpResponse(HttpVersion.HTTP_1_1, HttpResponseStatus.OK);
      DefaultLastHttpContent last = new DefaultLastHttpContent();
      byte[] body =
          switch (path) {
            case "/base64" -> Base64.getEncoder().encode(bytes("{\"a\":\"" + credential + "\"}"));
            case "/body" -> one.body().getBytes(StandardCharsets.ISO_8859_1);
            case "/body-base64" ->
                Base64.getEncoder()
                    .encode(("x" + one.body()).getBytes(StandardCharsets.ISO_8859_1));
            case "/hex" -> bytes(HexFormat.of().formatHex(bytes(credential)));
            case "/percent" -> bytes(URLEncoder.encode(credential, StandardCharsets.UTF_8));
            case "/header" -> {
              head.headers().set("x-echo", credential);
              yield bytes("see header");
            }
            case "/trailer" -> {
              last.trailingHeaders().set("x-echo", credential);
              yield bytes("see trailer");
            }
            case "/gzip" -> {
              head.headers().set("content-encoding", "gzip");
              yield gzip(bytes(one.toString()));
            }
            case "/long-gzip" -> {
              head.headers().set("content-encoding", "gzip");
              yield gzip(new byte[4 << 20]);
            }
            case "/br" -> {
              head.headers().set("content-encoding", "br");
              yield bytes("packed");
            }
            case "/no-content" -> {
              head.setStatus(HttpResponseStatus.NO_CONTENT);
              yield bytes(one.toString());
            }
            case "/cookie" -> {
              head.headers().add("set-cookie", "a=b; Path=/");
              head.headers().add("Set-Cookie", "c=d");
              yield bytes("see header");
            }
            case "/redirect" -> {
              head.setStatus(HttpResponseStatus.FOUND);
              head.headers().set("location", request.uri().replaceFirst("[^?]*\\??", ""));
              yield bytes("");
            }
            case "/unauthorized" -> {
              head.setStatus(HttpResponseStatus.UNAUTHORIZED);
              yield bytes("");
            }
            case "/reversed" -> bytes(new StringBuilder(credential).reverse().toString());
            case "/rot13" -> bytes(rot13(credential));
            case "/spaced" -> bytes(String.join(" ", credential.split("", -1)));
            case "/large" -> new byte[4 << 20];
            default -> bytes(one.toString());
          };
      if (path.equals("/bytes")) {
        head.headers().set("transfer-encoding", "chunked");
        ctx.write(head);
        for (byte b : body) {
          ctx.writeAndFlush(new DefaultHttpContent(Unpooled.wrappedBuffer(new byte[] {b})));
        }
      } else {
        if (path.equals("/trailer")) {
          head.headers().set("transfer-encoding", "chunked");
        } else {
          head.headers().set("content-length", body.length);
        }
        ctx.write(head);
        ByteBuf content = Unpooled.wrappedBuffer(body);
        ctx.write(new DefaultHttpContent(content));
      }
      ctx.writeAndFlush(last);
    }
  }

  static String rot13(String text) {
    StringBuilder out = new StringBuilder();
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      int base = Character.isUpperCase(c) ? 'A' : 'a';
      boolean letter = Character.toLowerCase(c) >= 'a' && Character.toLowerCase(c) <= 'z';
      out.append(letter ? (char) ((c - base + 13) % 26 + base) : c);
    }
    return out.toString();
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  static byte[] gzip(byte[] plain) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (GZIPOutputStream gzip = new GZIPOutputStream(out)) {
      gzip.write(plain);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return out.toByteArray();
  }

  @Override
  public void close() {
    channel.close().syncUninterruptibly();
    group.shutdownGracefully(0, 1, TimeUnit.SECONDS).syncUninterruptibly();
  }
}
