package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.http.GrpcMessages;
import dev.cofferdam.gateway.scrub.GzipReader;
import dev.cofferdam.gateway.scrub.Scrubber;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.Unpooled;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Optional;

/**
 * An answer's body on its way back: unpacked, scrubbed, a piece at a time as the guest takes it.
 * One thread at a time.
 */
final class AnswerBody implements AutoCloseable {
  private final Scrubber scrubber;
  private final Optional<GrpcMessages> messages;
  private final Optional<GzipReader> unpacker;
  private final ByteBufAllocator allocator;
  private final Deque<ByteBuf> clean = new ArrayDeque<>();
  private boolean ended;
  private boolean flushed;

  /**
   * @param grpc it consists of messages, of which each is given whole: who sent it may wait for an
   *     answer to it
   * @param packed all of it in gzip
   * @param allocator one that wipes: what is unpacked or kept back may hold the secret
   */
  AnswerBody(Scrubber scrubber, boolean grpc, boolean packed, ByteBufAllocator allocator) {
    this.scrubber = scrubber;
    this.messages = grpc && !packed ? Optional.of(new GrpcMessages()) : Optional.empty();
    this.unpacker = packed ? Optional.of(new GzipReader()) : Optional.empty();
    this.allocator = allocator;
  }

  /** Takes the part over. */
  void add(ByteBuf part) {
    if (unpacker.isPresent()) {
      unpacker.get().feed(part);
    } else if (messages.isPresent()) {
      while (part.isReadable()) {
        ByteBuf piece = part.readRetainedSlice(messages.get().next(part));
        search(piece, messages.get().betweenTwo());
      }
      part.release();
    } else {
      search(part, false);
    }
  }

  private void search(ByteBuf part, boolean last) {
    ByteBuf piece = scrubber.feed(part, last, allocator);
    if (piece.isReadable()) {
      clean.add(piece);
    } else {
      // All of it was kept back.
      piece.release();
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
    if (!clean.isEmpty()) {
      return Optional.of(clean.remove());
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
    clean.forEach(ByteBuf::release);
    clean.clear();
    unpacker.ifPresent(GzipReader::close);
  }
}
