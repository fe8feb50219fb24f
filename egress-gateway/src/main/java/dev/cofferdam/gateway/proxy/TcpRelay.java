package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.event.Faults;
import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.gateway.slot.Allowance;
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
import io.netty.util.ReferenceCountUtil;
import io.netty.util.concurrent.Future;
import java.net.InetAddress;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;

/** Carries bytes both ways without looking at them, but for the name in a ClientHello. */
final class TcpRelay {
  private TcpRelay() {}

  /** What is told of it once it is over. */
  private static final class Outcome {
    long out;
    long in;
    Optional<UpstreamException> denied = Optional.empty();
    String deniedProtocol = "tls";

    AuditEvent.Builder event(GuestConnection connection, Host host) {
      return denied
          .map(why ->
              connection
                  .event(deniedProtocol, Verdict.VERDICT_DENIED, why.reason())
                  .setMessage(String.valueOf(why.getMessage())))
          .orElseGet(() ->
              connection
                  .event("tcp", Verdict.VERDICT_ALLOWED, EgressReason.EGRESS_REASON_UNSPECIFIED)
                  .setUninspected(true))
          .setHost(host.toString())
          .setBytesOut(out)
          .setBytesIn(in);
    }
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
      Consumer<UpstreamException> failed) {
    Upstreams upstreams = surroundings.upstreams().of(ctx.channel().eventLoop());
    addresses(upstreams, host, connection.port(), ctx)
        .addListener((Future<List<InetAddress>> resolved) -> {
          if (!resolved.isSuccess()) {
            failed.accept((UpstreamException) resolved.cause());
            return;
          }
          upstreams
              .dialler()
              .dial(host, resolved.getNow(), connection.port())
              .addListener((Future<Dialler.Dialled> dialled) -> {
                if (!dialled.isSuccess()) {
                  failed.accept((UpstreamException) dialled.cause());
                } else if (!ctx.channel().isActive()) {
                  dialled.getNow().channel().close();
                } else {
                  Channel upstream = dialled.getNow().channel();
                  allowance(connection, host)
                      .ifPresentOrElse(
                          allowance -> {
                            join(surroundings, connection, host, expected, upstream, allowance);
                            started.run();
                          },
                          () -> {
                            upstream.close();
                            failed.accept(
                                new UpstreamException(
                                    EgressReason.EGRESS_REASON_CAP_EXCEEDED,
                                    "a cap of the policy is reached"));
                          });
                }
              });
        });
  }

  /** Empty as well where the policy has changed meanwhile and lets nothing through any more. */
  private static Optional<Allowance> allowance(GuestConnection connection, Host host) {
    return connection
        .slot()
        .attachment()
        .policy()
        .passing(host, connection.port())
        .flatMap(rule -> connection.slot().allow(rule, System.nanoTime()).allowance());
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
      Channel upstream,
      Allowance allowance) {
    Channel guest = connection.channel();
    Outcome outcome = new Outcome();
    guest.config().setOption(ChannelOption.ALLOW_HALF_CLOSURE, true);
    upstream.config().setOption(ChannelOption.ALLOW_HALF_CLOSURE, true);
    guest.pipeline().addLast(new FromGuest(upstream, outcome, expected, allowance));
    upstream
        .pipeline()
        .addLast(
            new Pipe(guest, outcome, allowance) {
              @Override
              void count(int bytes) {
                outcome.in += bytes;
              }
            });
    guest
        .closeFuture()
        .addListener(_ -> {
          allowance.close();
          surroundings
              .decisions()
              .record(connection.slot().attachment().tenant(), outcome.event(connection, host));
        });
  }

  /** One direction. */
  private abstract static class Pipe extends ChannelInboundHandlerAdapter {
    private final Channel to;
    final Outcome outcome;
    private final Allowance allowance;

    Pipe(Channel to, Outcome outcome, Allowance allowance) {
      this.to = to;
      this.outcome = outcome;
      this.allowance = allowance;
    }

    abstract void count(int bytes);

    @Override
    public void channelRead(ChannelHandlerContext ctx, Object message) {
      send(ctx, (ByteBuf) message);
    }

    void send(ChannelHandlerContext ctx, ByteBuf bytes) {
      if (outcome.denied.isPresent() || !allowance.add(bytes.readableBytes())) {
        bytes.release();
        if (outcome.denied.isEmpty()) {
          outcome.deniedProtocol = "tcp";
          outcome.denied =
              Optional.of(
                  new UpstreamException(
                      EgressReason.EGRESS_REASON_CAP_EXCEEDED, "a cap on bytes is reached"));
        }
        ctx.close();
        to.close();
        return;
      }
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
      Faults.close(ctx, cause);
    }
  }

  /** The guest's direction, in which a ClientHello is read before it leaves. */
  private static final class FromGuest extends Pipe {
    private final Optional<Host.Name> expected;
    private ByteBuf first = Unpooled.EMPTY_BUFFER;
    private boolean looked;

    FromGuest(Channel to, Outcome outcome, Optional<Host.Name> expected, Allowance allowance) {
      super(to, outcome, allowance);
      this.expected = expected;
      this.looked = expected.isEmpty();
    }

    @Override
    void count(int bytes) {
      outcome.out += bytes;
    }

    @Override
    public void channelRead(ChannelHandlerContext ctx, Object message) {
      if (looked) {
        super.channelRead(ctx, message);
        return;
      }
      if (outcome.denied.isPresent()) {
        ReferenceCountUtil.release(message);
        return;
      }
      first = ByteToMessageDecoder.MERGE_CUMULATOR.cumulate(ctx.alloc(), first, (ByteBuf) message);
      switch (ClientHello.peek(first)) {
        case ClientHello.Peek.NeedsMore _ -> {
          // What was received waits; a ClientHello is bounded.
        }
        case ClientHello.Peek.NotTls _ -> pass(ctx);
        case ClientHello.Peek.Hello(ClientHello hello) when names(hello) -> pass(ctx);
        case ClientHello.Peek.Hello _ ->
            deny(
                ctx,
                EgressReason.EGRESS_REASON_HOST_MISMATCH,
                "SNI differs from the address's name");
        case ClientHello.Peek.Malformed(String why) ->
            // A server that is less strict might read a name in it.
            deny(ctx, EgressReason.EGRESS_REASON_PROTOCOL_NOT_ALLOWED, why);
      }
    }

    private boolean names(ClientHello hello) {
      return !hello.encrypted()
          && hello
              .serverName()
              .flatMap(Host::parse)
              .filter(expected.orElseThrow()::equals)
              .isPresent();
    }

    private void pass(ChannelHandlerContext ctx) {
      looked = true;
      ByteBuf bytes = first;
      first = Unpooled.EMPTY_BUFFER;
      send(ctx, bytes);
    }

    private void deny(ChannelHandlerContext ctx, EgressReason reason, String why) {
      outcome.denied = Optional.of(new UpstreamException(reason, why));
      ctx.close();
    }

    @Override
    public void handlerRemoved(ChannelHandlerContext ctx) {
      first.release();
      first = Unpooled.EMPTY_BUFFER;
    }
  }
}
