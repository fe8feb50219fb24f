package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.event.Faults;
import dev.cofferdam.gateway.http.Http2ClientStreamHandler;
import dev.cofferdam.gateway.slot.Tally;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelInitializer;
import io.netty.handler.codec.http2.DefaultHttp2LocalFlowController;
import io.netty.handler.codec.http2.Http2Connection;
import io.netty.handler.codec.http2.Http2Exception;
import io.netty.handler.codec.http2.Http2FrameCodec;
import io.netty.handler.codec.http2.Http2FrameCodecBuilder;
import io.netty.handler.codec.http2.Http2GoAwayFrame;
import io.netty.handler.codec.http2.Http2MultiplexHandler;
import io.netty.handler.codec.http2.Http2Settings;
import io.netty.handler.codec.http2.Http2SettingsFrame;
import io.netty.handler.codec.http2.Http2Stream;
import io.netty.util.ReferenceCountUtil;

/** HTTP/2 on either side, with the limits that known floods call for. */
final class Http2Connections {
  private static final int MAX_STREAMS = 100;

  /** What may have come on a stream that nobody has taken yet. */
  static final int STREAM_WINDOW = 256 << 10;

  /**
   * The same for all of a wide connection: fifteen streams may stand still beside one that moves.
   */
  static final int CONNECTION_WINDOW = 4 << 20;

  /**
   * Wide connections of a sandbox, of both sides together. Others have what Netty gives a
   * connection for the window of its streams, 448 KiB, or a sandbox could have megabytes held for
   * it on each that it may open.
   */
  static final int MAX_WIDE = 16;

  /**
   * Of a connection's window, where the peer is told that it is wider again. With Netty's half it
   * would never be, once streams that stand still hold the other half.
   */
  private static final float UPDATE_RATIO = 31f / 32;

  private Http2Connections() {}

  /**
   * @param wide how many connections of the sandbox are
   * @param streams initialises the channel of each stream
   */
  static void server(Channel channel, Tally wide, int maxHeaderBytes, ChannelHandler streams) {
    channel
        .pipeline()
        .addLast(
            Http2FrameCodecBuilder.forServer()
                .initialSettings(
                    Http2Settings.defaultSettings()
                        .maxConcurrentStreams(MAX_STREAMS)
                        .maxHeaderListSize(maxHeaderBytes)
                        .initialWindowSize(STREAM_WINDOW)
                        // RFC 8441: WebSockets.
                        .connectProtocolEnabled(true))
                .validateHeaders(true)
                // Rapid reset (CVE-2023-44487) and MadeYouReset (CVE-2025-8671).
                .decoderEnforceMaxRstFramesPerWindow(200, 10)
                .encoderEnforceMaxRstFramesPerWindow(200, 10)
                .decoderEnforceMaxConsecutiveEmptyDataFrames(2)
                .decoderEnforceMaxSmallContinuationFrames(16)
                .encoderEnforceMaxQueuedControlFrames(1000)
                .build())
        .addLast(new Http2MultiplexHandler(streams))
        .addLast(new Rest());
    widen(channel, wide);
  }

  /** Streams that nobody takes hold up the others only once the window is used up. */
  private static void widen(Channel channel, Tally wide) {
    Http2Connection http2 = channel.pipeline().get(Http2FrameCodec.class).connection();
    Http2Stream whole = http2.connectionStream();
    if (!(http2.local().flowController() instanceof DefaultHttp2LocalFlowController window)) {
      throw new IllegalStateException("Netty's windows are kept by another class");
    }
    try {
      window.windowUpdateRatio(whole, UPDATE_RATIO);
      if (wide.tryAdd(MAX_WIDE)) {
        channel.closeFuture().addListener(_ -> wide.remove());
        window.incrementWindowSize(whole, CONNECTION_WINDOW - window.initialWindowSize(whole));
        channel.flush();
      }
    } catch (Http2Exception e) {
      throw new IllegalStateException("a connection that has just begun has no such window", e);
    }
  }

  /**
   * @param wide how many connections of the sandbox are
   */
  static void client(
      Channel channel, UpstreamConnection connection, Tally wide, int maxHeaderBytes) {
    channel
        .pipeline()
        .addLast(
            Http2FrameCodecBuilder.forClient()
                .initialSettings(
                    Http2Settings.defaultSettings()
                        .pushEnabled(false)
                        // What a server echoes stays in no table of ours.
                        .headerTableSize(0)
                        .maxHeaderListSize(maxHeaderBytes)
                        .initialWindowSize(STREAM_WINDOW))
                .headerSensitivityDetector(Http2ClientStreamHandler.sensitivity())
                .validateHeaders(true)
                .encoderEnforceMaxQueuedControlFrames(1000)
                .build())
        .addLast(
            new Http2MultiplexHandler(
                new ChannelInitializer<>() {
                  @Override
                  protected void initChannel(Channel pushed) {
                    pushed.close();
                  }
                }))
        .addLast(new ClientEvents(connection));
    widen(channel, wide);
  }

  /** Frames that concern the connection. */
  private static final class ClientEvents extends ChannelInboundHandlerAdapter {
    private final UpstreamConnection connection;

    ClientEvents(UpstreamConnection connection) {
      this.connection = connection;
    }

    @Override
    public void channelRead(ChannelHandlerContext ctx, Object message) {
      if (message instanceof Http2SettingsFrame settings) {
        Long most = settings.settings().maxConcurrentStreams();
        if (most != null) {
          connection.maxStreams = (int) Math.min(MAX_STREAMS, most);
        }
        connection.extendedConnect |=
            Boolean.TRUE.equals(settings.settings().connectProtocolEnabled());
      } else if (message instanceof Http2GoAwayFrame) {
        connection.retired = true;
      }
      ReferenceCountUtil.release(message);
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
      Faults.close(ctx, cause);
    }
  }

  private static final class Rest extends ChannelInboundHandlerAdapter {
    @Override
    public void channelRead(ChannelHandlerContext ctx, Object message) {
      ReferenceCountUtil.release(message);
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
      Faults.close(ctx, cause);
    }
  }
}
