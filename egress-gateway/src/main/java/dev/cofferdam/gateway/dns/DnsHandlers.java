package dev.cofferdam.gateway.dns;

import dev.cofferdam.gateway.event.Faults;
import dev.cofferdam.gateway.slot.Attachment;
import dev.cofferdam.gateway.slot.Slot;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.socket.DatagramChannel;
import io.netty.channel.socket.SocketChannel;
import io.netty.handler.codec.dns.DatagramDnsQuery;
import io.netty.handler.codec.dns.DatagramDnsQueryDecoder;
import io.netty.handler.codec.dns.DatagramDnsResponse;
import io.netty.handler.codec.dns.DatagramDnsResponseEncoder;
import io.netty.handler.codec.dns.DefaultDnsQuery;
import io.netty.handler.codec.dns.DefaultDnsResponse;
import io.netty.handler.codec.dns.TcpDnsQueryDecoder;
import io.netty.handler.codec.dns.TcpDnsResponseEncoder;
import io.netty.handler.timeout.ReadTimeoutHandler;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/** The two transports of {@link DnsAnswers}. */
public final class DnsHandlers {
  private DnsHandlers() {}

  public static ChannelHandler udp(DnsAnswers answers) {
    return new ChannelInitializer<DatagramChannel>() {
      @Override
      protected void initChannel(DatagramChannel channel) {
        answers.faults().watch(channel, Faults.Side.DNS);
        channel
            .pipeline()
            .addLast(new DatagramDnsQueryDecoder(), new DatagramDnsResponseEncoder())
            .addLast(new Udp(answers));
      }
    };
  }

  /**
   * Who is at no known slot is not let in at all. These connections count among the sandbox's.
   *
   * @param idle a connection without a whole query for this long is closed
   * @param most connections of one sandbox
   */
  public static ChannelHandler tcp(DnsAnswers answers, Duration idle, int most) {
    return new ChannelInitializer<SocketChannel>() {
      @Override
      protected void initChannel(SocketChannel channel) {
        answers.faults().watch(channel, Faults.Side.DNS);
        Optional<Slot> slot = answers.slot(channel.remoteAddress().getAddress());
        if (slot.isEmpty() || !enter(slot.get(), channel, most)) {
          channel.close();
          return;
        }
        channel
            .pipeline()
            .addLast(new TcpDnsQueryDecoder(), new TcpDnsResponseEncoder())
            // Behind the decoder: a query that comes a byte at a time is none yet.
            .addLast(new ReadTimeoutHandler(idle.toMillis(), TimeUnit.MILLISECONDS))
            .addLast(new Tcp(answers));
      }
    };
  }

  private static boolean enter(Slot slot, Channel channel, int most) {
    if (!slot.connections().tryAdd(most)) {
      return false;
    }
    Slot.Tenant tenant = new Connection(channel);
    channel
        .closeFuture()
        .addListener(_ -> {
          slot.connections().remove();
          slot.remove(tenant);
        });
    return slot.add(tenant);
  }

  /** What a policy allows is asked with each query; only the slot's end concerns a connection. */
  private record Connection(Channel channel) implements Slot.Tenant {
    @Override
    public void reconsider(Attachment attachment) {}

    @Override
    public void end() {
      channel.close();
    }
  }

  private static final class Udp extends SimpleChannelInboundHandler<DatagramDnsQuery> {
    private final DnsAnswers answers;

    Udp(DnsAnswers answers) {
      this.answers = answers;
    }

    @Override
    protected void channelRead0(ChannelHandlerContext ctx, DatagramDnsQuery query) {
      DatagramDnsResponse empty =
          new DatagramDnsResponse(
              /* sender= */ query.recipient(), /* recipient= */ query.sender(), query.id());
      answers
          .answer(query, query.sender().getAddress(), empty)
          .ifPresentOrElse(ctx::writeAndFlush, empty::release);
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
      // What could not be read or answered gets no answer; the socket serves everyone and stays.
      Faults.tell(ctx, cause);
    }
  }

  private static final class Tcp extends SimpleChannelInboundHandler<DefaultDnsQuery> {
    private final DnsAnswers answers;

    Tcp(DnsAnswers answers) {
      this.answers = answers;
    }

    @Override
    protected void channelRead0(ChannelHandlerContext ctx, DefaultDnsQuery query) {
      DefaultDnsResponse empty = new DefaultDnsResponse(query.id());
      InetSocketAddress asker = (InetSocketAddress) ctx.channel().remoteAddress();
      answers
          .answer(query, asker.getAddress(), empty)
          .ifPresentOrElse(
              ctx::writeAndFlush,
              () -> {
                empty.release();
                ctx.close();
              });
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
      Faults.close(ctx, cause);
    }
  }
}
