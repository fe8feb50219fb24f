package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.http.Http2ClientStreamHandler;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelInitializer;
import io.netty.handler.codec.http2.Http2FrameCodecBuilder;
import io.netty.handler.codec.http2.Http2GoAwayFrame;
import io.netty.handler.codec.http2.Http2MultiplexHandler;
import io.netty.handler.codec.http2.Http2Settings;
import io.netty.handler.codec.http2.Http2SettingsFrame;
import io.netty.util.ReferenceCountUtil;

/** HTTP/2 on either side, with the limits that known floods call for. */
final class Http2Connections {
  private static final int MAX_STREAMS = 100;

  private Http2Connections() {}

  /**
   * @param streams initialises the channel of each stream
   */
  static void server(Channel channel, int maxHeaderBytes, ChannelHandler streams) {
    channel
        .pipeline()
        .addLast(
            Http2FrameCodecBuilder.forServer()
                .initialSettings(
                    Http2Settings.defaultSettings()
                        .maxConcurrentStreams(MAX_STREAMS)
                        .maxHeaderListSize(maxHeaderBytes)
                        .initialWindowSize(1 << 20)
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
  }

  static void client(Channel channel, UpstreamConnection connection, int maxHeaderBytes) {
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
                        .initialWindowSize(1 << 20))
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
      ctx.close();
    }
  }

  private static final class Rest extends ChannelInboundHandlerAdapter {
    @Override
    public void channelRead(ChannelHandlerContext ctx, Object message) {
      ReferenceCountUtil.release(message);
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
      ctx.close();
    }
  }
}
