package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.scrub.GzipReader;
import dev.cofferdam.gateway.scrub.Scrubber;
import dev.cofferdam.kit.http.End;
import dev.cofferdam.kit.http.Headers;
import dev.cofferdam.kit.http.ResponseHead;
import dev.cofferdam.v1.EgressReason;
import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Locale;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * An answer on its way back to the guest, clean where the request held a secret. Where the secret
 * is weak nothing leaves before the answer was seen whole. What came at once leaves at once: it is
 * flushed when the upstream has no more for now.
 */
final class Answering implements AutoCloseable {
  /** Of an answer that has to be seen whole. */
  private static final int MAX_WHOLE = 4 << 20;

  private final Exchange exchange;
  private final Channel guest;
  private final UpstreamStream upstream;
  private final String method;
  private final Optional<Scrubber> scrubber;
  private final boolean weak;
  private final Deque<ByteBuf> whole = new ArrayDeque<>();
  private long wholeBytes;
  private @Nullable ResponseHead head;
  private @Nullable AnswerBody cleaner;
  private @Nullable End ending;
  private boolean begun;
  private boolean bodiless;
  private long bytes;

  Answering(
      Exchange exchange,
      Channel guest,
      UpstreamStream upstream,
      String method,
      @Nullable Secrets secrets) {
    this.exchange = exchange;
    this.guest = guest;
    this.upstream = upstream;
    this.method = method;
    this.scrubber = Optional.ofNullable(secrets).map(Secrets::scrubber);
    this.weak = secrets != null && secrets.weak();
  }

  /** Whether the guest has seen any of it. */
  boolean begun() {
    return begun;
  }

  /** Of the upstream's answer, as they came. */
  long bytes() {
    return bytes;
  }

  /** Whether the upstream has done its part for now. */
  boolean waitsForGuest() {
    return ending != null || !upstream.channel.config().isAutoRead();
  }

  void begin(ResponseHead answer) {
    bodiless = method.equals("HEAD") || answer.status() == 204 || answer.status() == 304;
    Headers headers = answer.headers().endToEnd().without("alt-svc", "cofferdam-reason");
    if (scrubber.isEmpty()) {
      write(new ResponseHead(answer.status(), headers, answer.bodyLength()));
      return;
    }
    String coding =
        String.join(",", headers.all("content-encoding")).strip().toLowerCase(Locale.ROOT);
    boolean packed = coding.equals("gzip") || coding.equals("x-gzip");
    boolean readable = packed || coding.isEmpty() || coding.equals("identity");
    if (!bodiless && (!readable || Grpc.packed(headers))) {
      exchange.refuse(
          EgressReason.EGRESS_REASON_UPSTREAM_UNREACHABLE,
          "the answer is in an encoding that was not asked for and cannot be searched");
      return;
    }
    // The upstream's codec has scrubbed them: they were never text with a value in it.
    Headers clean = headers.without("content-length", "content-encoding");
    if (!bodiless) {
      cleaner =
          new AnswerBody(
              scrubber.get(), Grpc.is(headers), packed, upstream.connection.channel.alloc());
    }
    boolean empty = bodiless || answer.bodyLength() == 0;
    write(new ResponseHead(answer.status(), clean, empty ? 0 : -1));
  }

  private void write(ResponseHead answer) {
    head = answer;
    if (!weak) {
      begun = true;
      guest.write(answer);
    }
  }

  void data(ByteBuf data) {
    bytes += data.readableBytes();
    if (bodiless) {
      // In HTTP/2 an upstream can send it all the same; no client wants it and nothing searches it.
      data.release();
      return;
    }
    AnswerBody cleaning = cleaner;
    if (cleaning == null) {
      give(data);
    } else {
      cleaning.add(data);
      pump();
    }
    if (!weak && !guest.isWritable()) {
      guest.flush();
    }
    if (!weak && !guest.isWritable()) {
      upstream.channel.config().setAutoRead(false);
    }
  }

  void end(End end) {
    ending = new End(end.trailers().endToEnd());
    if (cleaner == null) {
      over();
    } else {
      cleaner.end();
      pump();
      if (cleaner != null) {
        // The guest takes no more for now, and the upstream may have nothing more to tell.
        guest.flush();
      }
    }
  }

  void guestWritable() {
    if (cleaner != null) {
      pump();
      guest.flush();
    }
    if (guest.isWritable()) {
      upstream.channel.config().setAutoRead(true);
    }
  }

  /** Gives the guest what is clean, as far as it takes it. */
  private void pump() {
    AnswerBody cleaning = cleaner;
    if (cleaning == null) {
      return;
    }
    try {
      while (weak || guest.isWritable()) {
        Optional<ByteBuf> piece = cleaning.poll();
        if (piece.isEmpty()) {
          break;
        }
        give(piece.get());
        if (cleaner == null) {
          return;
        }
      }
    } catch (GzipReader.CorruptException e) {
      exchange.refuse(
          EgressReason.EGRESS_REASON_UPSTREAM_UNREACHABLE,
          "the answer is not the gzip that it says it is");
      return;
    }
    if (ending != null && cleaning.done()) {
      over();
    }
  }

  private void give(ByteBuf clean) {
    if (!weak) {
      guest.write(clean);
      return;
    }
    wholeBytes += clean.readableBytes();
    whole.add(clean);
    if (weakSeen()) {
      exchange.refuse(
          EgressReason.EGRESS_REASON_WEAK_VALUE_IN_ANSWER,
          "the answer holds a value that could be guessed");
    } else if (wholeBytes > MAX_WHOLE) {
      exchange.refuse(
          EgressReason.EGRESS_REASON_WEAK_VALUE_IN_ANSWER,
          "the answer is too long to be seen whole, as a weak value needs it");
    }
  }

  private boolean weakSeen() {
    return scrubber.map(Scrubber::weakSeen).orElse(false);
  }

  private void over() {
    ResponseHead answer = head;
    End end = ending;
    if (answer == null || end == null) {
      return;
    }
    if (weak) {
      if (weakSeen()) {
        exchange.refuse(
            EgressReason.EGRESS_REASON_WEAK_VALUE_IN_ANSWER,
            "the answer holds a value that could be guessed");
        return;
      }
      begun = true;
      guest.write(answer);
      for (ByteBuf part = whole.poll(); part != null; part = whole.poll()) {
        guest.write(part);
      }
    }
    guest.writeAndFlush(end);
    exchange.answeredWhole(answer.status());
  }

  @Override
  public void close() {
    if (cleaner != null) {
      cleaner.close();
      cleaner = null;
    }
    whole.forEach(ByteBuf::release);
    whole.clear();
  }
}
