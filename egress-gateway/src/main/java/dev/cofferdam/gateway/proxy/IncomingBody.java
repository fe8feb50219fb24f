package dev.cofferdam.gateway.proxy;

import com.google.protobuf.ByteString;
import dev.cofferdam.gateway.data.BodySearch;
import dev.cofferdam.gateway.data.Refusal;
import dev.cofferdam.gateway.placeholder.Candidates;
import dev.cofferdam.kit.http.End;
import dev.cofferdam.kit.http.Header;
import dev.cofferdam.kit.http.Headers;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/**
 * A request's body as the guest sends it: searched in turns, between which the event loop serves
 * its other connections, and read no faster than it leaves. Used on the guest's event loop.
 */
final class IncomingBody implements AutoCloseable {
  /** Who is told how far it is. */
  interface Listener {
    /** A turn is over and another is needed. */
    void searching();

    /** All that came so far was searched, and may leave. */
    void searched();

    void found(Candidates.Found placeholder, String part);

    void unreadable(RequestBody.UnreadableException why);

    /** It holds what a data rule does not let out. */
    void unwanted(Refusal why);
  }

  private final Channel guest;
  private final RequestBody body;
  private final long most;
  private final Listener listener;
  private boolean ending;
  private boolean ended;
  private boolean turnDue;
  private boolean closed;
  private boolean keeps;

  /**
   * @param most bytes that wait for the upstream before the guest is no longer read
   */
  IncomingBody(Headers headers, Channel guest, long most, Listener listener) {
    this.guest = guest;
    this.body = new RequestBody(headers, guest.alloc());
    this.most = most;
    this.listener = listener;
  }

  /** Before its first part: placeholders in it are not told but judged with the whole. */
  void keep(long limit) {
    keeps = true;
    body.keep(limit);
  }

  /** Before its first part: by these data rules. */
  void search(BodySearch by) {
    body.search(by);
  }

  /** Whether data rules may change what leaves. */
  boolean mayRewrite() {
    return body.mayRewrite();
  }

  /** See {@link RequestBody#whole}. */
  ByteBuf whole() {
    return body.whole();
  }

  /** In all of it so far. */
  List<Candidates.Found> found() {
    return body.found();
  }

  /** See {@link RequestBody#sha256}. */
  String sha256() {
    return body.sha256();
  }

  /** See {@link RequestBody#content}. */
  ByteString content() {
    return body.content();
  }

  /** See {@link RequestBody#replace}. */
  void replace(ByteBuf other) {
    body.replace(other);
  }

  /** Takes the part over. */
  void add(ByteBuf part) {
    body.add(part, false);
    search();
  }

  void end(End end) {
    for (Header trailer : end.trailers().lines()) {
      for (Candidates.Found found : Candidates.in(trailer.name() + ":" + trailer.value())) {
        listener.found(found, "trailer");
        return;
      }
    }
    ending = true;
    body.add(Unpooled.EMPTY_BUFFER, true);
    search();
  }

  private void search() {
    if (turnDue) {
      return;
    }
    boolean all;
    try {
      all = body.search();
    } catch (RequestBody.UnreadableException e) {
      listener.unreadable(e);
      return;
    }
    List<Candidates.Found> found = body.found();
    if (!found.isEmpty() && !keeps) {
      listener.found(found.getFirst(), "body");
    } else if (body.unwanted().isPresent()) {
      listener.unwanted(body.unwanted().get());
    } else if (all) {
      ended = ending;
      listener.searched();
    } else {
      turnDue = true;
      guest.config().setAutoRead(false);
      listener.searching();
      // Not executed: a loop goes on with what it has to execute before it looks at its channels.
      guest.eventLoop().schedule(this::nextTurn, 0, TimeUnit.NANOSECONDS);
    }
  }

  private void nextTurn() {
    turnDue = false;
    if (!closed) {
      search();
    }
  }

  /** Reads the guest on, or no longer. */
  void throttle() {
    guest.config().setAutoRead(!turnDue && !full());
  }

  /** Whether as much of it waits as may. */
  boolean full() {
    // One that is kept has a limit of its own.
    return !keeps && body.waitingBytes() > most;
  }

  /** Whether all of it was there, and searched. */
  boolean ended() {
    return ended;
  }

  long waitingBytes() {
    return body.waitingBytes();
  }

  /** So far, as they came. */
  long bytes() {
    return body.bytes();
  }

  /** Of what leaves, once it has ended; else what it is to be, negative where that is not known. */
  long leaving(long told) {
    return ended ? body.leaving() : told != 0 && body.mayRewrite() ? -1 : told;
  }

  /** The next part that may leave, for the caller to release. */
  Optional<ByteBuf> poll() {
    return body.poll();
  }

  @Override
  public void close() {
    closed = true;
    body.close();
  }
}
