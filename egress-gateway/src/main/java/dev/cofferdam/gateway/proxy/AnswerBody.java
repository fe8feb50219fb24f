package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.scrub.GzipReader;
import dev.cofferdam.gateway.scrub.Scrubber;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.Unpooled;
import java.util.Optional;

/**
 * An answer's body on its way back: unpacked, scrubbed, a piece at a time as the guest takes it.
 * One thread at a time.
 */
final class AnswerBody implements AutoCloseable {
  private final Scrubber scrubber;
  private final Optional<GzipReader> unpacker;
  private final ByteBufAllocator allocator;
  private ByteBuf next = Unpooled.EMPTY_BUFFER;
  private boolean ended;
  private boolean flushed;

  /**
   * @param allocator one that wipes: what is unpacked or kept back may hold the secret
   */
  AnswerBody(Scrubber scrubber, boolean packed, ByteBufAllocator allocator) {
    this.scrubber = scrubber;
    this.unpacker = packed ? Optional.of(new GzipReader()) : Optional.empty();
    this.allocator = allocator;
  }

  /** Takes the part over. */
  void add(ByteBuf part) {
    if (unpacker.isPresent()) {
      unpacker.get().feed(part);
    } else {
      ByteBuf clean = scrubber.feed(part, false, allocator);
      if (clean.isReadable()) {
        next = next.isReadable() ? Unpooled.wrappedBuffer(next, clean) : clean;
      } else {
        // All of it was kept back. As what comes next it would be replaced, and never released.
        clean.release();
      }
    }
  }

  void end() {
    ended = true;
  }

  /**
   * @return a clean piece for the caller to release, perhaps an empty one; empty when there is none
   *     for now, or no more at all
   */
  Optional<ByteBuf> poll() throws GzipReader.CorruptException {
    if (next.isReadable()) {
      ByteBuf piece = next;
      next = Unpooled.EMPTY_BUFFER;
      return Optional.of(piece);
    }
    if (unpacker.isPresent()) {
      Optional<ByteBuf> piece = unpacker.get().next(allocator);
      if (piece.isPresent()) {
        return Optional.of(scrubber.feed(piece.get(), false, allocator));
      }
      if (ended && !unpacker.get().complete()) {
        throw unpacker.get().cutOff();
      }
    }
    if (ended && !flushed) {
      flushed = true;
      return Optional.of(scrubber.feed(Unpooled.EMPTY_BUFFER, true, allocator));
    }
    return Optional.empty();
  }

  /** Whether everything was given out. */
  boolean done() {
    return flushed;
  }

  @Override
  public void close() {
    next.release();
    next = Unpooled.EMPTY_BUFFER;
    unpacker.ifPresent(GzipReader::close);
  }
}
