package dev.cofferdam.gateway.placeholder;

import dev.cofferdam.gateway.match.StreamMatcher;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.util.ArrayList;
import java.util.List;

/**
 * Looks for placeholders in a stream. What may be the greater part of one does not leave before
 * what follows has shown that it is none, so a placeholder never leaves whole.
 *
 * <p>One thread at a time. {@link #close} gives back what is kept.
 */
public final class BodyScanner implements AutoCloseable {
  /** Of a placeholder that is cut off here, the rest says nothing; and few other texts wait. */
  private static final int SERIOUS_UNITS = 4;

  private final List<Candidates.Found> found = new ArrayList<>();

  /** Bytes that have to be looked at again; of them, the first {@code sent} have left. */
  private ByteBuf kept = Unpooled.EMPTY_BUFFER;

  private int sent;

  /**
   * @param chunk is released
   * @param last nothing follows
   * @return what may leave now, for the caller to release
   */
  public ByteBuf feed(ByteBuf chunk, boolean last) {
    ByteBuf all = kept.isReadable() ? Unpooled.wrappedBuffer(kept, chunk) : chunk;
    int start = all.readerIndex();
    int end = all.writerIndex();
    StreamMatcher.Rest rest =
        Candidates.MATCHER.scan(
            all,
            start,
            end,
            last,
            SERIOUS_UNITS,
            new StreamMatcher.Sink() {
              @Override
              public void clean(ByteBuf in, int from, int length) {}

              @Override
              public void found(int needle, ByteBuf in, int from, int length) {
                found.add(Candidates.decode(needle, in, from, length));
              }
            });
    int from = start + sent;
    int hold = Math.max(rest.hold(), from);
    ByteBuf leaving = all.retainedSlice(from, hold - from);
    // Copied, so that a few bytes do not keep a whole chunk alive.
    kept = Unpooled.copiedBuffer(all.slice(rest.keep(), end - rest.keep()));
    sent = hold - rest.keep();
    all.release();
    return leaving;
  }

  /** All found so far, in the order of the stream. */
  public List<Candidates.Found> found() {
    return found;
  }

  @Override
  public void close() {
    kept.release();
    kept = Unpooled.EMPTY_BUFFER;
  }
}
