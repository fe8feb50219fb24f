package dev.cofferdam.gateway.match;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Searches a stream for several needles at once. It keeps nothing itself: where a match may have
 * begun but the bytes ended, it says from where on the caller has to keep them.
 */
public final class StreamMatcher {
  /** What is told, in the order of the stream. */
  public interface Sink {
    /** Bytes that belong to no match. */
    void clean(ByteBuf in, int from, int length);

    /**
     * @param needle the place of the needle that matched in the list
     */
    void found(int needle, ByteBuf in, int from, int length);
  }

  /**
   * Where a scan stopped.
   *
   * @param keep bytes from here on have to be shown again, in front of the next ones
   * @param hold bytes from here on are part of a match that is already long enough to be taken
   *     seriously; at least {@code keep}
   */
  public record Rest(int keep, int hold) {}

  /** Of the memory that {@link #hasten} takes. */
  public static final int TABLE_BYTES = Starts.BYTES;

  private static final int[] NONE = {};

  private static final long[] EVERY_PAIR = new long[1 << 10];

  static {
    Arrays.fill(EVERY_PAIR, -1);
  }

  private final List<Needle> needles;

  /** Of a byte, the needles that it may begin, once that is known. */
  private final int[] @Nullable [] byFirst = new int[256][];

  /** A bit for each pair of bytes with which a match may begin. */
  private final long[] pairs;

  private Optional<Starts> starts = Optional.empty();

  /**
   * For a search or a few, by one thread at a time: what can begin with a byte is found out when
   * one is met.
   */
  public StreamMatcher(List<Needle> needles) {
    this(needles, EVERY_PAIR);
  }

  /**
   * For many searches, by any threads: it takes a while to make, and looks at two bytes before it
   * tries a needle, which is seldom then.
   */
  public static StreamMatcher lasting(List<Needle> needles) {
    StreamMatcher matcher = new StreamMatcher(needles, pairs(needles));
    for (int value = 0; value < 256; value++) {
      var _ = matcher.startingWith(value);
    }
    matcher.hasten(Arena.ofAuto().allocate(TABLE_BYTES));
    return matcher;
  }

  /**
   * Makes searching faster from now on, at the price of some hundred bytes' search. Does nothing
   * where a needle is very short.
   *
   * @param table zeroed, of {@link #TABLE_BYTES}. It then tells what matches begin with, so it is
   *     as secret as they are, and has to live as long as the search, or until {@link #slow}
   */
  public void hasten(MemorySegment table) {
    Starts fresh = new Starts(table);
    boolean all = true;
    for (Needle needle : needles) {
      all &= needle.starts(fresh);
    }
    starts = all ? Optional.of(fresh) : Optional.empty();
  }

  /** Uses the table no longer. */
  public void slow() {
    starts = Optional.empty();
  }

  private StreamMatcher(List<Needle> needles, long[] pairs) {
    this.needles = List.copyOf(needles);
    this.pairs = pairs;
  }

  private int[] startingWith(int value) {
    int @Nullable [] known = byFirst[value];
    if (known != null) {
      return known;
    }
    int[] starting = new int[needles.size()];
    int count = 0;
    for (int n = 0; n < starting.length; n++) {
      if (needles.get(n).mayStart(value)) {
        starting[count++] = n;
      }
    }
    known = count == 0 ? NONE : Arrays.copyOf(starting, count);
    byFirst[value] = known;
    return known;
  }

  private static long[] pairs(List<Needle> needles) {
    long[] pairs = new long[1 << 10];
    ByteBuf two = Unpooled.buffer(2, 2);
    for (Needle needle : needles) {
      for (int first = 0; first < 256; first++) {
        // Few bytes begin one.
        for (int second = 0; second < 256 && needle.mayStart(first); second++) {
          int pair = first << 8 | second;
          two.setShort(0, pair);
          if (needle.match(two, 0, 2) != Needle.NONE) {
            pairs[pair >> 6] |= 1L << pair;
          }
        }
      }
    }
    return pairs;
  }

  /** The needles to be tried at a place, of which the next byte may be another scan's. */
  private int[] starting(ByteBuf in, int at, int end) {
    int first = in.getUnsignedByte(at);
    int[] starting = startingWith(first);
    if (starting.length == 0 || at + 1 == end) {
      return starting;
    }
    int pair = first << 8 | in.getUnsignedByte(at + 1);
    return (pairs[pair >> 6] & 1L << pair) != 0 ? starting : NONE;
  }

  /**
   * Keeps what may be the beginning of a match. What is kept then tells whoever sees what is not of
   * the needles.
   *
   * @param last no more bytes will come: nothing is kept
   * @param seriousUnits how long an unfinished match has to be for its bytes to be held
   */
  public Rest scan(ByteBuf in, int from, int end, boolean last, int seriousUnits, Sink sink) {
    return scan(in, from, end, end, last, seriousUnits, sink);
  }

  /**
   * Keeps what the caller says, whatever it holds.
   *
   * @param until no match that begins here or later is looked for
   * @return from where on bytes have to be shown again: {@code until}, or the end of a match that
   *     began before it
   */
  public int scan(ByteBuf in, int from, int until, int end, Sink sink) {
    return scan(in, from, until, end, true, 0, sink).keep();
  }

  private Rest scan(
      ByteBuf in, int from, int until, int end, boolean last, int seriousUnits, Sink sink) {
    Starts.@Nullable Walk walk = starts.flatMap(table -> table.walk(in, from, end)).orElse(null);
    int cleanFrom = from;
    int at = from;
    int keep = -1;
    int hold = -1;
    while (at < until) {
      at = walk == null ? at : walk.next(at);
      if (at >= until) {
        // How far behind it the next match might begin is not to be seen in what is kept.
        at = until;
        break;
      }
      int matched = 0;
      int which = -1;
      for (int n : starting(in, at, end)) {
        int result = needles.get(n).match(in, at, end);
        if (result > matched) {
          matched = result;
          which = n;
        } else if (result < 0 && !last) {
          keep = keep < 0 ? at : keep;
          if (hold < 0 && -1 - result >= seriousUnits) {
            hold = at;
          }
        }
      }
      if (matched > 0 && keep < 0) {
        if (at > cleanFrom) {
          sink.clean(in, cleanFrom, at - cleanFrom);
        }
        sink.found(which, in, at, matched);
        at += matched;
        cleanFrom = at;
      } else if (matched > 0) {
        // A match that began earlier may still swallow this one: it is found again once that is
        // known.
        hold = hold < 0 ? at : hold;
        at += matched;
      } else {
        at++;
      }
    }
    int stop = keep < 0 ? at : keep;
    if (stop > cleanFrom) {
      sink.clean(in, cleanFrom, stop - cleanFrom);
    }
    return new Rest(stop, hold < 0 ? end : hold);
  }
}
