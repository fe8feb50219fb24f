package dev.cofferdam.gateway.data;

import dev.cofferdam.gateway.http.GrpcMessages;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.io.ByteArrayOutputStream;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.LinkedHashSet;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** The body of one request, searched in turns. One thread at a time. */
public final class BodySearch implements AutoCloseable {
  private static final int BESIDE_STEP = 1024;

  private final DataSearch search;

  /** For what stands beside a packed body: the names and comments of gzip. */
  private final DataSearch beside;

  private final Optional<GrpcMessages> messages;
  private final Deque<ByteBuf> unsearched = new ArrayDeque<>();
  private long unsearchedBytes;

  private boolean unreadable;
  private final ByteArrayOutputStream besideText = new ByteArrayOutputStream();

  BodySearch(DataSearch search, DataSearch beside, boolean messages) {
    this.search = search;
    this.beside = beside;
    this.messages = messages ? Optional.of(new GrpcMessages()) : Optional.empty();
  }

  /** Takes the part over, for {@link #turn}. */
  public void add(ByteBuf part) {
    unsearchedBytes += part.readableBytes();
    unsearched.add(part);
  }

  /** Takes a byte that leaves and is no part of what is packed. */
  public void beside(int value) {
    besideText.write(value);
    if (besideText.size() >= BESIDE_STEP) {
      searchBeside(false);
    }
  }

  private void searchBeside(boolean last) {
    byte[] text = besideText.toByteArray();
    besideText.reset();
    beside.feed(Unpooled.wrappedBuffer(text), last, ByteBuf::release);
  }

  /**
   * Searches as much as may be before others have their turn.
   *
   * @param last nothing will be added
   * @param out takes over what may leave
   * @return whether all that was added was searched
   */
  public boolean turn(boolean last, Consumer<ByteBuf> out) {
    int budget = search.turn();
    searchBeside(last);
    while (budget > 0 && !over()) {
      @Nullable ByteBuf next = unsearched.peek();
      if (next == null) {
        break;
      }
      ByteBuf part = next.readSlice(Math.min(budget, next.readableBytes()));
      budget -= part.readableBytes();
      unsearchedBytes -= part.readableBytes();
      feed(part, out);
      if (!next.isReadable()) {
        unsearched.remove();
        next.release();
      }
    }
    if (over()) {
      return true;
    }
    if (unsearched.isEmpty() && last) {
      search.feed(Unpooled.EMPTY_BUFFER, true, out);
    }
    return unsearched.isEmpty();
  }

  private boolean over() {
    return unreadable || search.refused().isPresent() || beside.refused().isPresent();
  }

  private void feed(ByteBuf part, Consumer<ByteBuf> out) {
    if (messages.isEmpty()) {
      search.feed(part, false, out);
      return;
    }
    GrpcMessages read = messages.get();
    while (part.isReadable() && !unreadable) {
      boolean head = read.inHead();
      if (read.betweenTwo() && part.getByte(part.readerIndex()) != 0) {
        // Packed, or no message at all but what is to be taken for one.
        unreadable = true;
      } else {
        ByteBuf piece = part.readSlice(read.next(part));
        if (head) {
          out.accept(piece.retain());
        } else {
          search.feed(piece, read.betweenTwo(), out);
        }
      }
    }
  }

  /** Whether it holds what is no message of gRPC that can be searched. */
  public boolean unreadable() {
    return unreadable;
  }

  /** What refuses the request. */
  public Optional<Refusal> refused() {
    return search.refused().or(beside::refused).map(finding -> new Refusal(finding, "the body"));
  }

  /** Whether what leaves may differ in length from what came. */
  public boolean mayRewrite() {
    return search.mayRewrite();
  }

  /** How much may be searched at once. */
  public int turnBytes() {
    return search.turn();
  }

  /** Bytes that came and have not left. */
  public long pending() {
    return unsearchedBytes + search.pending();
  }

  Set<Finding> found() {
    Set<Finding> found = new LinkedHashSet<>(search.found());
    found.addAll(beside.found());
    return found;
  }

  @Override
  public void close() {
    unsearched.forEach(ByteBuf::release);
    unsearched.clear();
  }
}
