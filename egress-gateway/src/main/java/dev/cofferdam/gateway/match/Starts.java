package dev.cofferdam.gateway.match;

import io.netty.buffer.ByteBuf;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Optional;

/**
 * Finds where in a text a match may begin, four bytes at a step. A table has all pairs of bytes
 * that can stand next to each other in the first five of a match. Two bytes of each four are looked
 * up in it; only where they are in it each of the four places is looked at, with all its pairs.
 *
 * <p>A match that is cut off may begin with anything that looks like an escape. So the last bytes
 * of a text are left to whoever tries each place.
 */
final class Starts {
  /** Of a table. */
  static final int BYTES = 4 << 10;

  /** Pairs that begin at so many of a match's first bytes are in the table. */
  static final int STEP = 4;

  /** An escape that is cut off is shorter, so that a match's first bytes are not in it. */
  private static final int TAIL = 16;

  /** A text that is not much longer is as quickly looked at without. */
  private static final int SHORT = 4 * TAIL;

  /** The second byte's highest bit is left out: few texts have it, and so the table is small. */
  private static final int MASK = 0x7fff;

  private static final ValueLayout.OfLong EIGHT =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final MemorySegment table;

  /**
   * @param table zeroed, to be filled by {@link #add}
   */
  Starts(MemorySegment table) {
    this.table = table;
  }

  /** These may stand next to each other. */
  void add(int first, int second) {
    int pair = (first | second << 8) & MASK;
    table.setAtIndex(
        ValueLayout.JAVA_LONG,
        pair >> 6,
        table.getAtIndex(ValueLayout.JAVA_LONG, pair >> 6) | (1L << pair));
  }

  /** Empty where trying each place is as quick. */
  Optional<Walk> walk(ByteBuf in, int from, int end) {
    return end - from < SHORT ? Optional.empty() : Optional.of(new Walk(in, from, end));
  }

  /** A walk through one text, forwards. */
  final class Walk {
    private final MemorySegment[] parts;

    /** Where the part begins. */
    private int from;

    private int part;

    /** From here on all places are to be tried. */
    private final int tail;

    private Walk(ByteBuf in, int from, int end) {
      this.from = from;
      this.tail = end - TAIL;
      this.parts = parts(in, from, end - from);
    }

    private static MemorySegment[] parts(ByteBuf in, int from, int length) {
      if (in.nioBufferCount() == 1) {
        return new MemorySegment[] {MemorySegment.ofBuffer(in.nioBuffer(from, length))};
      }
      ByteBuffer[] buffers = in.nioBuffers(from, length);
      MemorySegment[] parts = new MemorySegment[buffers.length];
      for (int i = 0; i < parts.length; i++) {
        parts[i] = MemorySegment.ofBuffer(buffers[i]);
      }
      return parts;
    }

    /** The next place to try, at or behind this one. */
    int next(int at) {
      int place = at;
      while (place < tail && part < parts.length) {
        MemorySegment text = parts[part];
        int length = (int) text.byteSize();
        if (place >= from + length) {
          from += length;
          part++;
          continue;
        }
        // What a part's last bytes stand next to is in another; eight are read at once.
        int end = Math.min(from + length - Long.BYTES, tail);
        if (place >= end) {
          return place;
        }
        place = from + sweep(text, table, place - from, end - from);
        if (place < end) {
          return place;
        }
      }
      return place;
    }
  }

  /**
   * @param end at least eight before the text's end
   * @return the first place before {@code end} where one may begin, or {@code end}
   */
  private static int sweep(MemorySegment text, MemorySegment table, int from, int end) {
    int at = from;
    for (; at + 2 * STEP <= end; at += 2 * STEP) {
      // Of two steps, what each begins at its last byte.
      long eight = text.get(EIGHT, at + 1);
      if (((bit(table, eight >>> 16) | bit(table, eight >>> 48)) & 1) != 0) {
        int found = each(text, table, at, at + 2 * STEP);
        if (found < at + 2 * STEP) {
          return found;
        }
      }
    }
    return each(text, table, at, end);
  }

  /** Lowest in what is returned: whether the two lowest bytes may stand next to each other. */
  private static long bit(MemorySegment table, long bytes) {
    int pair = (int) bytes & MASK;
    return table.getAtIndex(ValueLayout.JAVA_LONG, pair >> 6) >>> pair;
  }

  private static int each(MemorySegment text, MemorySegment table, int from, int end) {
    for (int at = from; at < end; at++) {
      long eight = text.get(EIGHT, at);
      long all =
          bit(table, eight)
              & bit(table, eight >>> 8)
              & bit(table, eight >>> 16)
              & bit(table, eight >>> 24);
      if ((all & 1) != 0) {
        return at;
      }
    }
    return end;
  }
}
