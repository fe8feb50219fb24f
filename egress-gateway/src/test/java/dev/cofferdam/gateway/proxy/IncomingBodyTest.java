package dev.cofferdam.gateway.proxy;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.gateway.data.Refusal;
import dev.cofferdam.gateway.placeholder.Candidates;
import dev.cofferdam.kit.http.End;
import dev.cofferdam.kit.http.Headers;
import io.netty.bootstrap.Bootstrap;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.epoll.EpollDatagramChannel;
import io.netty.channel.epoll.EpollIoHandler;
import io.netty.channel.epoll.EpollSocketChannel;
import io.netty.util.ReferenceCountUtil;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

final class IncomingBodyTest {
  private static final String PACKET = "a packet of another";
  private static final String SEARCHED = "all was searched";

  private final EventLoopGroup group =
      new MultiThreadIoEventLoopGroup(1, EpollIoHandler.newFactory());
  private final BlockingQueue<String> seen = new LinkedBlockingQueue<>();

  @AfterEach
  void stop() {
    group.shutdownGracefully(0, 1, TimeUnit.SECONDS).syncUninterruptibly();
  }

  private final class Other extends ChannelInboundHandlerAdapter {
    @Override
    public void channelRead(ChannelHandlerContext ctx, Object message) {
      ReferenceCountUtil.release(message);
      seen.add(PACKET);
    }
  }

  private final class Listener implements IncomingBody.Listener {
    @Override
    public void searching() {}

    @Override
    public void searched() {
      seen.add(SEARCHED);
    }

    @Override
    public void found(Candidates.Found placeholder, String part) {
      seen.add("found in " + part);
    }

    @Override
    public void unwanted(Refusal why) {
      throw new AssertionError("there are no data rules");
    }

    @Override
    public void unreadable(RequestBody.UnreadableException why) {
      seen.add("unreadable: " + why.getMessage());
    }
  }

  private static byte[] gzip(byte[] plain) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (GZIPOutputStream gzip = new GZIPOutputStream(out)) {
      gzip.write(plain);
    }
    return out.toByteArray();
  }

  /** What came for another channel of the loop after the body did is read before its end. */
  @Test
  void othersOfTheLoopAreServedWhileALargeBodyIsSearched() throws Exception {
    Channel other =
        new Bootstrap()
            .group(group)
            .channel(EpollDatagramChannel.class)
            .handler(new Other())
            .bind("127.0.0.1", 0)
            .sync()
            .channel();
    Channel guest =
        new Bootstrap()
            .group(group)
            .channel(EpollSocketChannel.class)
            .handler(new ChannelInboundHandlerAdapter())
            .register()
            .sync()
            .channel();
    byte[] packed = gzip(new byte[(int) RequestBody.TURN * 20]);
    try (DatagramSocket sender = new DatagramSocket(0, InetAddress.getByName("127.0.0.1"))) {
      guest
          .eventLoop()
          .submit(() -> {
            IncomingBody body =
                new IncomingBody(
                    Headers.of("content-encoding", "gzip"), guest, 1 << 20, new Listener());
            guest.closeFuture().addListener(_ -> body.close());
            sender.send(new DatagramPacket(new byte[] {1}, 1, other.localAddress()));
            body.add(Unpooled.wrappedBuffer(packed));
            assertThat(guest.config().isAutoRead()).isFalse();
            body.end(End.plain());
            return body;
          })
          .get(20, TimeUnit.SECONDS);
      List<String> first =
          List.of(
              String.valueOf(seen.poll(20, TimeUnit.SECONDS)),
              String.valueOf(seen.poll(20, TimeUnit.SECONDS)));

      assertThat(first).containsExactly(PACKET, SEARCHED);
    }
    guest.close().sync();
  }
}
