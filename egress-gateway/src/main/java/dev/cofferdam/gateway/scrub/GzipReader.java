package dev.cofferdam.gateway.scrub;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.Unpooled;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.Optional;
import java.util.function.IntConsumer;
import java.util.zip.CRC32;
import java.util.zip.DataFormatException;
import java.util.zip.Inflater;
import org.jspecify.annotations.Nullable;

/**
 * Unpacks a gzip stream (RFC 1952, several members allowed) piece by piece, so that a small input
 * never becomes a large output at once: {@link #next} gives at most {@value #PIECE} bytes.
 *
 * <p>One thread at a time.
 */
public final class GzipReader implements AutoCloseable {
  /** The stream is no gzip, or its checksum is wrong. */
  public static final class CorruptException extends Exception {
    private static final long serialVersionUID = 1L;

    CorruptException(String message) {
      super(message);
    }
  }

  private static final int PIECE = 16 << 10;
  private static final int FHCRC = 2;
  private static final int FEXTRA = 4;
  private static final int FNAME = 8;
  private static final int FCOMMENT = 16;

  /** In the order in which they stand in a member. */
  private enum Part {
    START(0),
    EXTRA_LENGTH(1),
    EXTRA(2),
    NAME(3),
    COMMENT(4),
    HEADER_CHECK(5),
    BODY(6),
    TRAILER(7);

    private final int place;

    Part(int place) {
      this.place = place;
    }
  }

  private final IntConsumer beside;
  private final Inflater inflater = new Inflater(true);
  private final CRC32 check = new CRC32();
  private final ArrayDeque<ByteBuf> input = new ArrayDeque<>();
  private final byte[] fixed = new byte[10];
  private Part part = Part.START;
  private int filled;
  private int flags;
  private int skip;
  private boolean full;

  public GzipReader() {
    this(_ -> {});
  }

  /**
   * @param beside told each byte of the extra fields, names and comments of its members, and a zero
   *     behind each of these
   */
  public GzipReader(IntConsumer beside) {
    this.beside = beside;
  }

  /** Takes the chunk over. */
  public void feed(ByteBuf chunk) {
    input.add(chunk);
  }

  /**
   * @return a piece for the caller to release; empty when more input is needed
   */
  public Optional<ByteBuf> next(ByteBufAllocator allocator) throws CorruptException {
    while (true) {
      if (part == Part.BODY && full) {
        // The last piece was full: zlib may have more, without more input.
        ByteBuf out = inflate(Unpooled.EMPTY_BUFFER, allocator);
        if (out.isReadable()) {
          return Optional.of(out);
        }
        out.release();
      }
      @Nullable ByteBuf in = input.peek();
      if (in == null) {
        return Optional.empty();
      }
      if (!in.isReadable()) {
        input.remove().release();
        continue;
      }
      if (part == Part.BODY) {
        ByteBuf out = inflate(in, allocator);
        if (out.isReadable()) {
          return Optional.of(out);
        }
        out.release();
      } else {
        step(in.readByte());
      }
    }
  }

  /** Whether the stream may end here. */
  public boolean complete() {
    return part == Part.START && filled == 0;
  }

  /** For a stream that ended before it was {@link #complete}. */
  public CorruptException cutOff() {
    return new CorruptException("the stream ends too early");
  }

  private ByteBuf inflate(ByteBuf in, ByteBufAllocator allocator) throws CorruptException {
    ByteBuf out = allocator.directBuffer(PIECE);
    try {
      ByteBuffer source = in.nioBuffer();
      int before = source.remaining();
      inflater.setInput(source);
      ByteBuffer target = out.nioBuffer(0, PIECE);
      int produced = inflater.inflate(target);
      in.skipBytes(before - source.remaining());
      out.writerIndex(produced);
      full = produced == PIECE;
      check.update(out.nioBuffer());
      if (inflater.finished()) {
        part = Part.TRAILER;
        filled = 0;
      } else if (inflater.needsDictionary()) {
        throw new CorruptException("gzip with a preset dictionary");
      }
      return out;
    } catch (DataFormatException e) {
      out.release();
      throw new CorruptException("not deflate: " + e.getMessage());
    } catch (CorruptException e) {
      out.release();
      throw e;
    }
  }

  private void step(byte b) throws CorruptException {
    switch (part) {
      case START -> {
        fixed[filled++] = b;
        if (filled == 10) {
          if (fixed[0] != 0x1f || fixed[1] != (byte) 0x8b || fixed[2] != 8) {
            throw new CorruptException("no gzip header");
          }
          flags = fixed[3];
          inflater.reset();
          check.reset();
          after(Part.START);
        }
      }
      case EXTRA_LENGTH -> {
        skip |= (b & 0xff) << (8 * filled++);
        if (filled == 2) {
          filled = 0;
          part = skip == 0 ? afterExtra() : Part.EXTRA;
        }
      }
      case EXTRA -> {
        beside.accept(b);
        if (--skip == 0) {
          beside.accept(0);
          part = afterExtra();
        }
      }
      case NAME -> {
        beside.accept(b);
        if (b == 0) {
          after(Part.NAME);
        }
      }
      case COMMENT -> {
        beside.accept(b);
        if (b == 0) {
          after(Part.COMMENT);
        }
      }
      case HEADER_CHECK -> {
        if (++filled == 2) {
          after(Part.HEADER_CHECK);
        }
      }
      case TRAILER -> {
        fixed[filled++] = b;
        if (filled == 8) {
          endMember();
        }
      }
      case BODY -> throw new IllegalStateException("body bytes are inflated, not stepped");
    }
  }

  private Part afterExtra() {
    after(Part.EXTRA);
    return part;
  }

  /** Goes on to the next part of a header that its flags announce. */
  private void after(Part done) {
    filled = 0;
    skip = 0;
    if (done.place < Part.EXTRA_LENGTH.place && (flags & FEXTRA) != 0) {
      part = Part.EXTRA_LENGTH;
    } else if (done.place < Part.NAME.place && (flags & FNAME) != 0) {
      part = Part.NAME;
    } else if (done.place < Part.COMMENT.place && (flags & FCOMMENT) != 0) {
      part = Part.COMMENT;
    } else if (done.place < Part.HEADER_CHECK.place && (flags & FHCRC) != 0) {
      part = Part.HEADER_CHECK;
    } else {
      part = Part.BODY;
    }
  }

  private void endMember() throws CorruptException {
    if (little(0) != check.getValue() || little(4) != (inflater.getBytesWritten() & 0xffffffffL)) {
      throw new CorruptException("the checksum does not match");
    }
    part = Part.START;
    filled = 0;
  }

  private long little(int at) {
    return (fixed[at] & 0xffL)
        | (fixed[at + 1] & 0xffL) << 8
        | (fixed[at + 2] & 0xffL) << 16
        | (fixed[at + 3] & 0xffL) << 24;
  }

  @Override
  public void close() {
    inflater.end();
    input.forEach(ByteBuf::release);
    input.clear();
  }
}
