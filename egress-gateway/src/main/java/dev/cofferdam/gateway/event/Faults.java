package dev.cofferdam.gateway.event;

import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.handler.codec.CodecException;
import io.netty.handler.codec.http2.Http2Exception;
import io.netty.handler.codec.http2.Http2FrameStreamException;
import io.netty.handler.timeout.TimeoutException;
import io.netty.util.AttributeKey;
import java.io.IOException;
import java.time.Duration;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Faults of the gateway's own in the handlers of a connection: each is counted, told in the log,
 * and ends its connection. What a peer sends or breaks off is none. Safe for several threads.
 */
public final class Faults {
  /** Whose connection it is. */
  public enum Side {
    GUEST,
    UPSTREAM,
    DNS
  }

  /** One line of a place in so long: a guest may know how to bring its fault about. */
  static final Duration QUIET = Duration.ofMinutes(1);

  private static final int MAX_CAUSES = 8;

  private static final Logger log = LoggerFactory.getLogger(Faults.class);
  private static final AttributeKey<Watched> WATCHED =
      AttributeKey.valueOf(Faults.class, "watched");

  private final Map<Side, Counter> counters = new EnumMap<>(Side.class);

  /** By places in code, of which there are so many and no more. */
  private final Map<String, Told> told = new HashMap<>();

  private final LongSupplier nanos;

  private record Watched(Faults faults, Side side) {}

  /**
   * @param since of the last line, in nanoseconds
   * @param untold since then
   */
  private record Told(long since, long untold) {}

  /**
   * @param nanos as {@link System#nanoTime}
   */
  public Faults(MeterRegistry meters, LongSupplier nanos) {
    this.nanos = nanos;
    for (Side side : Side.values()) {
      counters.put(
          side,
          Counter.builder("cofferdam.gateway.faults")
              .description("Faults of the gateway's own, each of which ended a connection")
              .tag("side", side.name().toLowerCase(Locale.ROOT))
              .register(meters));
    }
  }

  /** From here on {@link #close} knows the channel, and the streams in it. */
  public void watch(Channel channel, Side side) {
    channel.attr(WATCHED).set(new Watched(this, side));
  }

  /** What a handler does with what was thrown: the connection ends whoever's fault it is. */
  public static void close(ChannelHandlerContext ctx, Throwable thrown) {
    tell(ctx, thrown);
    ctx.close();
  }

  /** For who has more to do than to close. */
  public static void tell(ChannelHandlerContext ctx, Throwable thrown) {
    if (own(thrown)) {
      watched(ctx.channel()).ifPresent(watched -> watched.faults().tell(watched.side(), thrown));
    }
  }

  private static Optional<Watched> watched(Channel channel) {
    for (Channel at = channel; at != null; at = at.parent()) {
      Watched found = at.attr(WATCHED).get();
      if (found != null) {
        return Optional.of(found);
      }
    }
    return Optional.empty();
  }

  /** Whether neither the peer nor the way to it is the cause. */
  public static boolean own(Throwable thrown) {
    return switch (thrown) {
      // Netty's codecs wrap what made them give up on a peer's bytes; ours tell by a message.
      case IOException _, CodecException _, TimeoutException _ -> false;
      case Http2Exception e -> ownCause(e);
      case Http2FrameStreamException e -> ownCause(e);
      default -> true;
    };
  }

  private static boolean ownCause(Throwable thrown) {
    Throwable cause = thrown.getCause();
    return cause != null && own(cause);
  }

  private void tell(Side side, Throwable thrown) {
    Counter counter = counters.get(side);
    if (counter != null) {
      counter.increment();
    }
    untold(thrown)
        .ifPresent(untold ->
            log.atWarn()
                .setMessage("handler_failed")
                .addKeyValue("side", side.name().toLowerCase(Locale.ROOT))
                .addKeyValue("untold", untold)
                .setCause(withoutMessages(thrown, MAX_CAUSES))
                .log());
  }

  /** Empty while it is too soon for another line, else how many had none since the last. */
  private synchronized Optional<Long> untold(Throwable thrown) {
    StackTraceElement[] stack = thrown.getStackTrace();
    String place = thrown.getClass().getName() + (stack.length == 0 ? "" : " " + stack[0]);
    long now = nanos.getAsLong();
    Told last = told.get(place);
    if (last != null && now - last.since() < QUIET.toNanos()) {
      told.put(place, new Told(last.since(), last.untold() + 1));
      return Optional.empty();
    }
    told.put(place, new Told(now, 0));
    return Optional.of(last == null ? 0 : last.untold());
  }

  /** Messages may quote what was handled: only the classes and where they were thrown are told. */
  private static Throwable withoutMessages(Throwable thrown, int causes) {
    Throwable cause = thrown.getCause();
    return new Fault(
        thrown.getClass().getName(),
        thrown.getStackTrace(),
        cause == null || causes == 0 ? null : withoutMessages(cause, causes - 1));
  }

  private static final class Fault extends Exception {
    private static final long serialVersionUID = 1;

    Fault(String name, StackTraceElement[] stack, @Nullable Throwable cause) {
      super(name, cause);
      setStackTrace(stack);
    }
  }
}
