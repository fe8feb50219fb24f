package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.gateway.tls.ClientHello;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.Verdict;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelOption;
import io.netty.channel.socket.ChannelInputShutdownEvent;
import io.netty.channel.socket.DuplexChannel;
import io.netty.handler.codec.ByteToMessageDecoder;
import io.netty.util.concurrent.Future;
import java.net.InetAddress;
import java.util.List;
import java.util.Optional;
import java.util.function.BiConsumer;

/** Carries bytes both ways without looking at them, but for the name in a ClientHello. */
final class TcpRelay {
  private TcpRelay() {}

  private static final class Counts {
    long out;
    long in;
  }

  /**
   * @param expected the name that a ClientHello has to carry, if there is one
   * @param started the relay is in the guest's pipeline
   * @param failed why it is not
   */
  static void start(
      Surroundings surroundings,
      GuestConnection connection,
      Host host,
      Optional<Host.Name> expected,
      ChannelHandlerContext ctx,
      Runnable started,
      BiConsumer<EgressReason, String> failed) {
    Upstreams upstreams = surroundings.upstreams().of(ctx.channel().eventLoop());
    addresses(upstreams, host, connection.port(), ctx)
        .addListener((Future<List<InetAddress>> resolved) -> {
          if (!resolved.isSuccess()) {
            UpstreamException why = (UpstreamException) resolved.cause();
            failed.accept(why.reason(), String.valueOf(why.getMessage()));
            return;
          }
          upstreams
              .dial(resolved.getNow().getFirst(), connection.port())
              .addListener((ChannelFuture dialled) -> {
                if (!dialled.isSuccess()) {
                  failed.accept(
                      EgressReason.EGRESS_REASON_UPSTREAM_UNREACHABLE,
                      host + " could not be reached");
                } else if (!ctx.channel().isActive()) {
                  dialled.channel().close();
                } else {
                  join(surroundings, connection, host, expected, dialled.channel());
                  started.run();
                }
              });
        });
  }

  private static Future<List<InetAddress>> addresses(
      Upstreams upstreams, Host host, int port, ChannelHandlerContext ctx) {
    return switch (host) {
      case Host.Name name -> upstreams.resolution().resolve(name, port);
      case Host.Literal(InetAddress address) ->
          upstreams
              .resolution()
              .refuse(address, port)
              .map(why ->
                  ctx.executor()
                      .<List<InetAddress>>newFailedFuture(
                          new UpstreamException(EgressReason.EGRESS_REASON_PRIVATE_ADDRESS, why)))
              .orElseGet(() -> ctx.executor().newSucceededFuture(List.of(address)));
    };
  }

  private static void join(
      Surroundings surroundings,
      GuestConnection connection,
      Host host,
      Optional<Host.Name> expected,
      Channel upstream) {
    Channel guest = connection.channel();
    Counts counts = new Counts();
    guest.config().setOption(ChannelOption.ALLOW_HALF_CLOSURE, true);
    upstream.config().setOption(ChannelOption.ALLOW_HALF_CLOSURE, true);
    guest.pipeline().addLast(new FromGuest(upstream, counts, surroundings, connection, expected));
    upstream
        .pipeline()
        .addLast(
            new Pipe(guest) {
              @Override
              void count(int bytes) {
                counts.in += bytes;
              }
            });
    guest
        .closeFuture()
        .addListener(_ -> {
          AuditEvent.Builder event =
              connection
                  .event("tcp", Verdict.VERDICT_ALLOWED, EgressReason.EGRESS_REASON_UNSPECIFIED)
                  .setHost(host.toString())
                  .setUninspected(true)
                  .setBytesOut(counts.out)
                  .setBytesIn(counts.in);
          surroundings.decisions().record(connection.slot().attachment().tenant(), event);
        });
  }

  /** One direction. */
  private abstract static class Pipe extends ChannelInboundHandlerAdapter {
    private final Channel to;

    Pipe(Channel to) {
      this.to = to;
    }

    abstract void count(int bytes);

    @Override
    public void channelRead(ChannelHandlerContext ctx, Object message) {
      send(ctx, (ByteBuf) message);
    }

    void send(ChannelHandlerContext ctx, ByteBuf bytes) {
      count(bytes.readableBytes());
      to.writeAndFlush(bytes)
          .addListener((ChannelFuture written) -> {
            if (!written.isSuccess()) {
              ctx.close();
            }
          });
      if (!to.isWritable()) {
        ctx.channel().config().setAutoRead(false);
      }
    }

    @Override
    public void channelWritabilityChanged(ChannelHandlerContext ctx) {
      // This end can take more again: the other may be read again.
      if (ctx.channel().isWritable()) {
        to.config().setAutoRead(true);
      }
      ctx.fireChannelWritabilityChanged();
    }

    @Override
    public void userEventTriggered(ChannelHandlerContext ctx, Object event) {
      if (event instanceof ChannelInputShutdownEvent) {
        DuplexChannel other = (DuplexChannel) to;
        other
            .shutdownOutput()
            .addListener(_ -> {
              // Both have said all they had to say.
              if (other.isInputShutdown()) {
                other.close();
                ctx.close();
              }
            });
      }
      ctx.fireUserEventTriggered(event);
    }

    @Override
    public void channelInactive(ChannelHandlerContext ctx) {
      to.writeAndFlush(Unpooled.EMPTY_BUFFER).addListener(ChannelFutureListener.CLOSE);
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
      ctx.close();
    }
  }

  /** The guest's direction, in which a ClientHello is read before it leaves. */
  private static final class FromGuest extends Pipe {
    private final Counts counts;
    private final Surroundings surroundings;
    private final GuestConnection connection;
    private final Optional<Host.Name> expected;
    private ByteBuf first = Unpooled.EMPTY_BUFFER;
    private boolean looked;

    FromGuest(
        Channel to,
        Counts counts,
        Surroundings surroundings,
        GuestConnection connection,
        Optional<Host.Name> expected) {
      super(to);
      this.counts = counts;
      this.surroundings = surroundings;
      this.connection = connection;
      this.expected = expected;
      this.looked = expected.isEmpty();
    }

    @Override
    void count(int bytes) {
      counts.out += bytes;
    }

    @Override
    public void channelRead(ChannelHandlerContext ctx, Object message) {
      if (looked) {
        super.channelRead(ctx, message);
        return;
      }
      first = ByteToMessageDecoder.MERGE_CUMULATOR.cumulate(ctx.alloc(), first, (ByteBuf) message);
      ClientHello.Peek peek = ClientHello.peek(first);
      looked = !(peek instanceof ClientHello.Peek.NeedsMore);
      boolean mismatch =
          peek instanceof ClientHello.Peek.Hello(ClientHello hello)
              && (hello.encrypted()
                  || hello
                      .serverName()
                      .flatMap(Host::parse)
                      .filter(expected.orElseThrow()::equals)
                      .isEmpty());
      if (mismatch) {
        surroundings
            .decisions()
            .record(
                connection.slot().attachment().tenant(),
                connection
                    .event("tls", Verdict.VERDICT_DENIED, EgressReason.EGRESS_REASON_HOST_MISMATCH)
                    .setHost(expected.orElseThrow().value())
                    .setMessage("SNI differs from the address's name"));
        ctx.close();
      } else if (looked) {
        ByteBuf bytes = first;
        first = Unpooled.EMPTY_BUFFER;
        send(ctx, bytes);
      }
    }

    @Override
    public void handlerRemoved(ChannelHandlerContext ctx) {
      first.release();
      first = Unpooled.EMPTY_BUFFER;
    }
  }
}
